"""What scrcpy's server prints (com.genymobile.scrcpy.util.Ln): its log, and Java's stack traces."""

from enum import IntEnum

from capture.demo_phone.stdio import Stdio

_PREFIX = "[server] "
_RUNTIME = ("com.android.internal.os.RuntimeInit.nativeFinishInit(Native Method)",)


class Level(IntEnum):
    """The levels of `log_level`."""

    VERBOSE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4


class Thrown(Exception):
    """What Java code threw."""

    def __init__(
        self,
        message: str,
        java_class: str = "java.lang.IllegalArgumentException",
        at: tuple[str, ...] = _RUNTIME,
    ) -> None:
        """`at` are the places of its stack trace, the innermost first."""
        super().__init__(message)
        self.message = message
        self.java_class = java_class
        self.at = at

    def stack_trace(self) -> str:
        """As `printStackTrace` writes it, without a newline at its end."""
        head = f"{self.java_class}: {self.message}" if self.message else self.java_class
        return "\n".join([head, *(f"\tat {place}" for place in self.at)])


class BadConfiguration(Exception):
    """The server was asked for what cannot be; what to say of it has been logged."""


class Log:
    """Warnings and errors go to standard error, the rest to standard output."""

    def __init__(self, stdio: Stdio, threshold: Level = Level.INFO) -> None:
        self._stdio = stdio
        self.threshold = threshold

    async def debug(self, message: str) -> None:
        await self._write(Level.DEBUG, message)

    async def info(self, message: str) -> None:
        await self._write(Level.INFO, message)

    async def warn(self, message: str) -> None:
        await self._write(Level.WARN, message)

    async def error(self, message: str, thrown: Thrown | None = None) -> None:
        """With what was thrown, its stack trace follows."""
        await self._write(Level.ERROR, message if thrown is None else f"{message}\n{thrown.stack_trace()}")

    async def _write(self, level: Level, message: str) -> None:
        if level < self.threshold:
            return
        text = f"{_PREFIX}{level.name}: {message}\n".encode(errors="replace")
        await (self._stdio.write(text) if level < Level.WARN else self._stdio.write_error(text))
