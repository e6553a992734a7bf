"""Logging: events with values by structlog, pretty on a terminal and a JSON object per line elsewhere."""

import asyncio
import atexit
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from media_service.log_file import LogFile, LogFileHandler
from media_service.redaction import Redaction

OUR_PACKAGES = ("encoders", "capture", "signaling", "media_service")

_ONLY_SHAPES = Redaction()


class _NoEcho(logging.Filter):
    """Leaves out what aiohttp says of a client's own bytes: they may hold a token, and anybody can send them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "aiohttp.websocket":
            return False  # The subprotocols that a client asked for, one of which is its token.
        error = record.exc_info[1] if record.exc_info else None
        # And of a handler that it ended itself when the server closed, aiohttp says that it is surprised.
        return type(error).__module__ != "aiohttp.http_exceptions" and not isinstance(error, asyncio.InvalidStateError)


def configure(
    level: str,
    *,
    service_name: str,
    stream: TextIO,
    file: LogFile | None = None,
    redact: Callable[[str], str] = _ONLY_SHAPES,
) -> LogFileHandler | None:
    """Log what is at least `level` (`debug`, `info`, `warning`, `error`) to `stream`, and to `file` as JSON.

    Both `structlog.get_logger()` and the standard library's loggers end here, and every line passes through `redact`.
    Libraries are heard from `warning` on: at `info` aiortc and aioice tell of every packet and candidate. Returns what
    writes `file`; the lines that wait for it are written when the program ends.
    """
    ours = logging.getLevelNamesMapping()[level.upper()]
    every_event: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    structlog.configure(
        processors=[*every_event, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(ours),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )

    def formatter(renderers: Sequence[Processor]) -> logging.Formatter:
        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*every_event, structlog.stdlib.ExtraAdder()],
            processors=[
                _stamp,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *renderers,
                lambda _logger, _method, line: redact(str(line)),
            ],
        )

    as_json = formatter(_json(service_name))
    console = logging.StreamHandler(stream)
    console.setFormatter(formatter(_pretty()) if stream.isatty() else as_json)
    root = logging.getLogger()
    root.handlers[:] = [console]
    for library in ("aiohttp.server", "aiohttp.websocket"):
        logging.getLogger(library).filters[:] = [_NoEcho()]
    root.setLevel(max(ours, logging.WARNING))
    for package in OUR_PACKAGES:
        logging.getLogger(package).setLevel(ours)
    if file is None:
        return None
    on_disk = LogFileHandler(file)
    on_disk.setFormatter(as_json)
    root.addHandler(on_disk)
    atexit.register(on_disk.close)
    return on_disk


def _stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The time of the event itself, so that it is the same wherever it is written."""
    event["timestamp"] = datetime.fromtimestamp(event["_record"].created, UTC)
    return event


def _pretty() -> list[Processor]:
    """For people."""
    return [
        lambda _logger, _method, event: {**event, "timestamp": f"{event['timestamp'].astimezone():%H:%M:%S.%f}"},
        # Rich tracebacks would show local variables, which may be secrets.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]


def _json(service_name: str) -> list[Processor]:
    """For programs, and for people who look for one field."""

    def begin_line(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        time = event.pop("timestamp").isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {"timestamp": time, "level": event["level"], "service": service_name, **event}

    return [
        begin_line,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
