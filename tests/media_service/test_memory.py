"""What the C library keeps of memory that is free, and what it gives back."""

import ctypes
import platform
import subprocess
import sys

import pytest

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has anything to be told")

FREED_BELOW_WHAT_IS_USED = """
import psutil
from media_service import memory
memory.share_arenas()
kept = [bytearray(60_000) for _ in range(2000)]
kept = kept[::50]
process = psutil.Process()
before = process.memory_info().rss
memory.give_back()
print(before - process.memory_info().rss)
"""


@glibc
def test_what_is_free_between_what_is_used_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FREED_BELOW_WHAT_IS_USED], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) > 80_000_000


@glibc
def test_there_is_what_is_called() -> None:
    library = ctypes.CDLL(None)
    assert library.mallopt is not None
    assert library.malloc_trim is not None
