"""The log on disk, written by a thread of its own: a slow or full disk costs lines, and never the service."""

import logging
import os
import stat
import time
from collections import Counter
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Thread

import structlog

_log = structlog.get_logger(__name__)

QUEUE_LIMIT = 4096
"""Lines that may wait for the disk."""

RETRY_AFTER = 1.0
"""Seconds after a failure in which the disk is left alone."""

_ROTATION_RETRY_AFTER = 60.0
_CLOSE_TIMEOUT = 2.0


class LogFile:
    """A file of lines, put aside as `NAME.1` to `NAME.<backups>` when it has grown to `max_bytes` (0: never).

    One that another program moved, removed or emptied, as logrotate does, is begun anew at the next line. Not to be
    used by two threads.
    """

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._file: int | None = None
        self._rotation_failed_at: float | None = None

    def write(self, line: bytes) -> None:
        """Append `line`, all of it or nothing. Raises OSError when it cannot be."""
        file, size = self._open()
        if self._max_bytes and size and size + len(line) > self._max_bytes and self._put_aside():
            file, size = self._open()
        written = 0
        try:
            while written < len(line):
                written += os.write(file, line[written:])
        except OSError:
            if written:
                self._take_back(file, written)
            self.close()
            raise

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> tuple[int, int]:
        """The open file that has our name now, and its size; 0 for what does not grow, as a pipe."""
        if self._file is not None and not self._has_our_name(self._file):
            self.close()
        if self._file is None:
            # What is no ordinary file must not hold us up: a pipe that nobody reads, a terminal.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
            self._file = os.open(self.path, flags, 0o640)
        status = os.fstat(self._file)
        return self._file, status.st_size if stat.S_ISREG(status.st_mode) else 0

    def _has_our_name(self, file: int) -> bool:
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return False
        except OSError:
            return True  # Its folder cannot be looked into any more, but the file can still be written.
        return os.path.samestat(named, os.fstat(file))

    def _put_aside(self) -> bool:
        """Begin a new file; False, and logged once, where the folder does not let us: the old one then grows on."""
        now = time.monotonic()
        if self._rotation_failed_at is not None and now - self._rotation_failed_at < _ROTATION_RETRY_AFTER:
            return False
        try:
            for number in range(self._backups - 1, 0, -1):
                if self._backup(number).exists():
                    self._backup(number).replace(self._backup(number + 1))
            self.path.replace(self._backup(1))
        except OSError as error:
            if self._rotation_failed_at is None:
                _log.warning(
                    "the log file cannot be put aside and grows on", file=str(self.path), reason=error.strerror
                )
            self._rotation_failed_at = now
            return False
        self._rotation_failed_at = None
        return True

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _take_back(self, file: int, written: int) -> None:
        """Cut off the part of a line that the disk had room for."""
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return
        end = os.lseek(file, 0, os.SEEK_CUR)
        if os.fstat(file).st_size == end:  # Nobody has written behind it.
            os.ftruncate(file, end - written)


class LogFileHandler(logging.Handler):
    """Hands formatted lines to the thread that writes them. Never waits and never raises."""

    def __init__(self, file: LogFile, *, queue_limit: int = QUEUE_LIMIT, retry_after: float = RETRY_AFTER) -> None:
        """`retry_after` is how many seconds the disk is left alone after a failure."""
        super().__init__()
        self.drops: Counter[str] = Counter()
        """Lines that are not in the file, by reason: `unwritable`, or `queue_full` where the disk is too slow."""
        self._file = file
        self._retry_after = retry_after
        self._retry_at = 0.0
        self._failed: OSError | None = None
        self._is_overrun = False
        self._is_closed = False
        self._queue: Queue[bytes | None] = Queue(queue_limit)
        self._writer = Thread(target=self._write_all, name="log file", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode(errors="backslashreplace") + b"\n"
        except Exception:
            self.handleError(record)
            return
        try:
            self._queue.put_nowait(line)
        except Full:
            self.drops["queue_full"] += 1
            if not self._is_overrun:
                self._is_overrun = True
                _log.warning("the log file is written too slowly; lines are lost", file=str(self._file.path))
        else:
            self._is_overrun = False

    def close(self) -> None:
        """Write what waits, as far as that goes within two seconds. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            deadline = time.monotonic() + _CLOSE_TIMEOUT
            try:
                self._queue.put(None, timeout=_CLOSE_TIMEOUT)
            except Full:
                pass  # The disk hangs; what waits for it is lost.
            self._writer.join(max(0.0, deadline - time.monotonic()))
        super().close()

    def _write_all(self) -> None:
        while (line := self._queue.get()) is not None:
            self._write(line)
        # What was said while the last lines were written, as that the file cannot be.
        try:
            while (line := self._queue.get_nowait()) is not None:
                self._write(line)
        except Empty:
            self._file.close()

    def _write(self, line: bytes) -> None:
        if self._failed is not None and time.monotonic() < self._retry_at:
            self.drops["unwritable"] += 1
            return
        try:
            self._file.write(line)
        except OSError as error:
            self.drops["unwritable"] += 1
            self._retry_at = time.monotonic() + self._retry_after
            is_news, self._failed = self._failed is None, error
            if is_news:
                _log.warning(
                    "the log file cannot be written; lines are lost until it can",
                    file=str(self._file.path),
                    reason=error.strerror,
                )
        else:
            if self._failed is not None:
                self._failed = None
                _log.info("the log file is written again", lines_lost=self.drops["unwritable"])
