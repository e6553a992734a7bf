"""`media_service.tracing` by OpenTelemetry. Nothing else imports it, and nothing else imports OpenTelemetry."""

import logging
from collections.abc import Mapping, Sequence
from threading import Thread
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from signaling.problems import Handler

_log = structlog.get_logger(__name__)

QUEUE_LIMIT: Final = 2048
"""Spans that may wait for the collector; the oldest is left out for one more."""

_BATCH: Final = 512
_SEND_TIMEOUT: Final = 5.0
_CLOSE_TIMEOUT: Final = 2.0

_UNTRACED: Final = frozenset({"/metrics", "/health", "/health/detailed", "/livez", "/readyz"})
"""What programs ask every few seconds."""

_PROPAGATOR: Final = TraceContextTextMapPropagator()


class OpenTelemetryTracing:
    """Fits `media_service.tracing.Tracing`. Spans are sent by a thread of their own."""

    def __init__(self, url: str, resource: Mapping[str, str], *, send_every: float) -> None:
        """`url` takes OTLP; `resource` says who we are; `send_every` is in seconds."""
        self._sender = _SpanSender(url)
        self._provider = TracerProvider(resource=Resource(resource), shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._sender,
                max_queue_size=QUEUE_LIMIT,
                schedule_delay_millis=send_every * 1000,
                max_export_batch_size=_BATCH,
            )
        )
        self._tracer = self._provider.get_tracer("media_service")

    def join(self, device_id: str) -> "_Join":
        return _Join(self._tracer, device_id)

    def middleware(self) -> Middleware:
        @web.middleware
        async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
            route = _route(request)
            if route in _UNTRACED:
                return await handler(request)
            remote = _PROPAGATOR.extract({name.lower(): value for name, value in request.headers.items()})
            if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
                # It lasts for hours; the joins that come through it are traced by themselves.
                token = context.attach(remote)
                try:
                    return await handler(request)
                finally:
                    context.detach(token)
            return await self._traced(request, handler, route, remote)

        return traced

    def close(self) -> None:
        """Send what waits, as far as that goes within two seconds."""
        closing = Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        closing.start()
        closing.join(_CLOSE_TIMEOUT)
        if closing.is_alive():
            self._sender.shutdown()

    async def _traced(
        self, request: web.Request, handler: Handler, route: str | None, remote: Context
    ) -> web.StreamResponse:
        method = request.method
        attributes = {"http.request.method": method} | ({"http.route": route} if route else {})
        span = self._tracer.start_span(
            f"{method} {route}" if route else method, remote, SpanKind.SERVER, attributes=attributes
        )
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                response = await handler(request)
        except web.HTTPException as error:
            _answered(span, error.status)
            raise
        except Exception as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
            raise
        else:
            _answered(span, response.status)
            return response
        finally:
            span.end()


class _Join:
    """Fits `media_service.tracing.Join`."""

    def __init__(self, tracer: Tracer, device_id: str) -> None:
        self._tracer = tracer
        self._span = tracer.start_span("join", attributes={"media.device": device_id})
        self._context = trace.set_span_in_context(self._span)
        self._part: Span | None = tracer.start_span("capture", self._context)

    def captured(self, capture: str) -> None:
        self._end_part()
        self._span.set_attribute("media.capture", capture)

    def negotiated(self) -> None:
        self._end_part()
        if self._span.is_recording():
            self._part = self._tracer.start_span("connect", self._context)

    def connected(self, protocol: str) -> None:
        self._end_part()
        self._end(Status(StatusCode.OK), protocol)

    def failed(self, reason: str) -> None:
        status = Status(StatusCode.ERROR, reason)
        if self._part is not None:
            self._part.set_status(status)
            self._end_part()
        self._end(status)

    def _end_part(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            part.end()

    def _end(self, status: Status, protocol: str = "") -> None:
        if self._span.is_recording():
            if protocol:
                self._span.set_attribute("network.transport", protocol)
            self._span.set_status(status)
            self._span.end()


class _SpanSender(SpanExporter):
    """Sends spans, and says once when that begins to fail and once when it works again."""

    def __init__(self, url: str) -> None:
        # It complains of every batch, of retries, and of each span that its queue has no room for.
        self._complaints = _Overheard()
        logger = logging.getLogger("opentelemetry")
        logger.handlers[:], logger.propagate = [self._complaints], False
        self._url = url
        self._exporter = OTLPSpanExporter(url, timeout=_SEND_TIMEOUT)
        self._fails = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        fails = result is not SpanExportResult.SUCCESS
        if fails and not self._fails:
            _log.warning("traces cannot be sent", endpoint=self._url, reason=self._complaints.last)
        elif self._fails and not fails:
            _log.info("traces are sent again", endpoint=self._url)
        self._fails = fails
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no annotations


class _Overheard(logging.Handler):
    """Remembers what was said last, in place of printing it."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


def _answered(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))


def _route(request: web.Request) -> str | None:
    """The route's pattern: the path itself holds ids that are as good as passwords."""
    resource = request.match_info.route.resource
    if resource is None:
        return None
    return resource.canonical or "/{file}"
