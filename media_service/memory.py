"""What the process does with its memory."""

import ctypes
import gc
from contextlib import suppress
from typing import Final

_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2


def share_arenas() -> None:
    """Have all threads take memory from two heaps; to be called before there are others.

    glibc gives threads heaps of their own, and pictures that encoders in one thread free are not there for the next:
    the process grows for as long as encoders come and go. Other C libraries have nothing to be told.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def settle() -> None:
    """Have what is there by now stay: the garbage collector need not look at it while pictures wait."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
