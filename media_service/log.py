"""Logging: events with values by structlog, pretty on a terminal and a JSON object per line elsewhere."""

import logging
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

OUR_PACKAGES = ("encoders", "capture", "signaling", "media_service")


def configure(level: str, *, service_name: str, stream: TextIO) -> None:
    """Log what is at least `level` (`debug`, `info`, `warning`, `error`) to `stream`.

    Both `structlog.get_logger()` and the standard library's loggers end here. Libraries are heard from `warning` on:
    at `info` aiortc and aioice tell of every packet and candidate.
    """
    ours = logging.getLevelNamesMapping()[level.upper()]

    def begin_line(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {"timestamp": event["timestamp"], "level": event["level"], "service": service_name, **event}

    every_event: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    if stream.isatty():
        every_event.append(structlog.processors.TimeStamper("%H:%M:%S.%f", utc=False))
        # Rich tracebacks would show local variables, which may be secrets.
        renderers: list[Processor] = [
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    else:
        every_event.append(structlog.processors.TimeStamper("iso", utc=True))
        renderers = [begin_line, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]

    structlog.configure(
        processors=[*every_event, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(ours),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    output = logging.StreamHandler(stream)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*every_event, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(max(ours, logging.WARNING))
    for package in OUR_PACKAGES:
        logging.getLogger(package).setLevel(ours)
