"""What the garbage collector looks at, and when."""

import gc


def settle() -> None:
    """Have what is there by now stay: the garbage collector need not look at it while pictures wait."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
