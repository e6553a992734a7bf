"""A server's end in its own words."""

from hypothesis import given
from hypothesis import strategies as st

from capture.scrcpy.server_log import ServerLog

MISMATCH = b"""\
[server] ERROR: The server version (4.1) does not match the client (3.3.4)
java.lang.IllegalArgumentException: The server version (4.1) does not match the client (3.3.4)
\tat com.genymobile.scrcpy.Options.parse(Options.java:318)
\tat com.genymobile.scrcpy.Server.internalMain(Server.java:221)
"""
MISMATCH_WORDS = "ERROR: The server version (4.1) does not match the client (3.3.4)"

CRASH = b"""\
[server] INFO: Device: [Google] google Pixel 8 (Android 14)
[server] ERROR: Exception on thread Thread[video,5,main]
java.lang.OutOfMemoryError: Failed to allocate a 8294416 byte allocation
\tat android.media.MediaCodec.native_setup(Native Method)
[server] DEBUG: Screen streaming stopped
"""


def words(output: bytes) -> str:
    log = ServerLog()
    log.feed(output)
    return log.last_words


def test_an_error_and_its_exception_are_told_once() -> None:
    assert words(MISMATCH) == MISMATCH_WORDS


def test_what_kind_of_exception_it_was_is_told() -> None:
    assert words(CRASH) == (
        "ERROR: Exception on thread Thread[video,5,main]; "
        "java.lang.OutOfMemoryError: Failed to allocate a 8294416 byte allocation"
    )


def test_without_an_error_it_is_the_last_line() -> None:
    assert words(b"[server] WARN: Audio disabled\nAborted \n[server] INFO: bye\n") == "Aborted"
    assert words(b"/system/bin/sh: app_process: inaccessible or not found") == (
        "/system/bin/sh: app_process: inaccessible or not found"
    )


def test_of_many_errors_the_last_are_told() -> None:
    assert words(b"".join(b"[server] ERROR: %d\n" % number for number in range(100))) == (
        "ERROR: 96; ERROR: 97; ERROR: 98; ERROR: 99"
    )


def test_nothing_is_nothing() -> None:
    assert words(b"") == ""
    assert words(b"[server] INFO: Device: [Google] google Pixel 8 (Android 14)\n") == ""


@given(st.lists(st.integers(1, 20), min_size=1))
def test_any_chunking_gives_the_same(sizes: list[int]) -> None:
    log = ServerLog()
    position = index = 0
    while position < len(MISMATCH):
        log.feed(MISMATCH[position : position + sizes[index % len(sizes)]])
        position += sizes[index % len(sizes)]
        index += 1
    assert log.last_words == MISMATCH_WORDS


@given(st.lists(st.binary(max_size=2000)))
def test_any_output_has_bounded_words(chunks: list[bytes]) -> None:
    log = ServerLog()
    for chunk in chunks:
        log.feed(chunk)
    assert len(log.last_words) < 2000
