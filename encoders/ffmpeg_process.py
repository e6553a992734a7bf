"""A long-lived `ffmpeg`: something goes in by a pipe, something comes out by another, and it never hangs its caller."""

import os
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from encoders.errors import EncoderError
from encoders.ffmpeg_words import FfmpegWords

_CHUNK: Final = 256 * 1024


class FfmpegProcess:
    """Runs `program` with `arguments`, of which `pipe:0` is what is written and `pipe:1` what is read.

    To be used from one thread at a time. Raises `EncoderError`, with ffmpeg's last words, when the program is not
    there, ends, or does not answer in time; the process is then gone.
    """

    def __init__(self, arguments: Sequence[str], *, program: str = "ffmpeg", shutdown_timeout: float = 5.0) -> None:
        """`shutdown_timeout` is how many seconds it has to end before it is killed."""
        self._shutdown_timeout = shutdown_timeout
        self._words = FfmpegWords()
        try:
            self._process = subprocess.Popen(
                [program, "-hide_banner", "-nostdin", "-loglevel", "error", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # A Ctrl-C in the terminal is for us alone.
            )
        except FileNotFoundError as error:
            raise EncoderError(f"{program} is not installed") from error
        except OSError as error:
            raise EncoderError(f"{program} cannot be run: {error.strerror}") from error
        self._selector = selectors.DefaultSelector()
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._pipes = tuple(pipe for pipe in pipes if pipe is not None)
        self._input, self._output, self._messages = (pipe.fileno() for pipe in self._pipes)
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._selector.register(self._output, selectors.EVENT_READ)
        self._selector.register(self._messages, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def exchange(
        self, data: Iterable[bytes | memoryview], is_answer: Callable[[bytes], bool], *, timeout: float
    ) -> None:
        """Write all `data`, and give `is_answer` what is read, until it says so; at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        unwritten = deque(memoryview(part) for part in data)
        is_answered = False
        self._selector.register(self._input, selectors.EVENT_WRITE)
        try:
            while unwritten or not is_answered:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise EncoderError(f"ffmpeg did not answer in {timeout:g} s{self._words.after(': ')}")
                for key, _ in self._selector.select(left):
                    if key.fd == self._input:
                        self._write(unwritten)
                    elif key.fd == self._messages:
                        self._listen()
                    elif chunk := os.read(self._output, _CHUNK):
                        is_answered = is_answer(chunk) or is_answered
                    else:
                        raise BrokenPipeError
        except BrokenPipeError:
            raise EncoderError(self._why_it_ended()) from None
        except BaseException:
            self.kill()
            raise

    def close(self) -> None:
        """Have it end: told by its closed input, by SIGTERM after half the time, killed after all of it. Idempotent."""
        if self._process.poll() is None:
            self._close_pipes()
            try:
                self._process.wait(self._shutdown_timeout / 2)
            except subprocess.TimeoutExpired:
                self._process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(self._shutdown_timeout / 2)
        self.kill()

    def kill(self) -> None:
        """End it at once. Idempotent."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._close_pipes()

    def interrupt(self) -> None:
        """Kill it, so that an `exchange` in another thread ends too; that thread then ends the rest."""
        self._process.kill()

    def _write(self, unwritten: deque[memoryview]) -> None:
        """Write what fits into the pipe."""
        written = os.writev(self._input, unwritten)
        while unwritten and written >= len(unwritten[0]):
            written -= len(unwritten.popleft())
        if unwritten:
            unwritten[0] = unwritten[0][written:]
        else:
            self._selector.unregister(self._input)

    def _close_pipes(self) -> None:
        self._selector.close()
        for pipe in self._pipes:
            pipe.close()

    def _listen(self) -> None:
        """Take what it says; at the end of that nothing is waited for any more."""
        if said := os.read(self._messages, _CHUNK):
            self._words.feed(said)
        else:
            self._selector.unregister(self._messages)

    def _why_it_ended(self) -> str:
        """It closed its pipes, so it is about to end; its last words wait in one of them."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        with suppress(BlockingIOError):
            while said := os.read(self._messages, _CHUNK):
                self._words.feed(said)
        code = self._process.returncode
        self.kill()
        return f"ffmpeg {'closed its pipes' if code is None else f'ended with code {code}'}{self._words.after(': ')}"
