"""What the process does with its memory."""

import asyncio
import ctypes
import gc
from contextlib import suppress
from typing import Final

_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2
_PERIOD: Final = 10.0


def share_arenas() -> None:
    """Have all threads take memory from two heaps; to be called before there are others.

    glibc gives threads heaps of their own, and pictures that encoders in one thread free are not there for the next:
    the process grows for as long as encoders come and go. Other C libraries have nothing to be told.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Have the kernel take what is free within the heaps. It takes some milliseconds.

    Of an encoder that ends glibc keeps what lies below anything that is still in use, and the next one seldom fits in.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


async def give_back_regularly() -> None:
    """Do so every ten seconds, beside the event loop. Never ends."""
    while True:
        await asyncio.sleep(_PERIOD)
        await asyncio.to_thread(give_back)


def settle() -> None:
    """Have what is there by now stay: the garbage collector need not look at it while pictures wait."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
