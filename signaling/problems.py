"""Every error of the HTTP API as `application/problem+json` (RFC 9457) with a stable `code`.

`error` repeats the text for clients that read `{"error": …}`.
"""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict

from capture.errors import CaptureError, DeviceNotFound, InputRejected
from signaling.errors import Conflict, DeviceUnavailable, NotFound, SignalingError, Unauthorized

_log = structlog.get_logger(__name__)

DEVICE_RETRY_SECONDS = 5
"""When a device that does not answer may be tried again: adb has reconnected it by then, or will not soon."""

INTERNAL_ERROR = SignalingError("something went wrong here; the service's log says what")

PROBLEM_JSON = "application/problem+json"

# Names of our own: http.HTTPStatus renames its phrases between Python versions.
_STATUSES = {
    400: ("bad_request", "Bad Request"),
    401: ("unauthorized", "Unauthorized"),
    403: ("forbidden", "Forbidden"),
    404: ("not_found", "Not Found"),
    405: ("method_not_allowed", "Method Not Allowed"),
    406: ("not_acceptable", "Not Acceptable"),
    409: ("conflict", "Conflict"),
    412: ("precondition_failed", "Precondition Failed"),
    413: ("body_too_large", "Content Too Large"),
    415: ("unsupported_media_type", "Unsupported Media Type"),
    422: ("unprocessable", "Unprocessable Content"),
    428: ("precondition_required", "Precondition Required"),
    429: ("too_many_requests", "Too Many Requests"),
    500: ("internal_error", "Internal Server Error"),
    503: ("unavailable", "Service Unavailable"),
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(BaseModel):
    """What is wrong with a request (RFC 9457)."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    title: str
    """The status in words."""
    status: int
    code: str
    """What is wrong, stable."""
    detail: str
    """The same in words: which value, and what is allowed."""
    error: str
    """The detail again."""


def told(error: CaptureError) -> SignalingError:
    """What a client is told about a device's trouble."""
    if isinstance(error, DeviceNotFound):
        return NotFound(str(error), code=error.code)
    if isinstance(error, InputRejected):
        return Conflict(str(error), code=error.code)
    return DeviceUnavailable(str(error), code=error.code, retry_after=DEVICE_RETRY_SECONDS)


def problem_response(error: SignalingError) -> web.Response:
    """The response that tells a client of an error."""
    headers: dict[str, str] = {} if error.retry_after is None else {hdrs.RETRY_AFTER: str(error.retry_after)}
    if isinstance(error, Unauthorized):
        # RFC 6750 section 3: who sent no token is told no reason.
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer" if error.code == "token_missing" else 'Bearer error="invalid_token"'
    return _response(error.status, error.code, error.detail, headers)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers whatever is raised behind it."""
    try:
        return await handler(request)
    except SignalingError as error:
        return problem_response(error)
    except CaptureError as error:
        return problem_response(told(error))
    except web.HTTPException as error:
        return _of_aiohttp(error)
    except web.RequestPayloadError:
        # What aiohttp says of it may repeat the body.
        return _response(400, "bad_request", "the body cannot be decoded: Content-Encoding or its length is wrong", {})
    except Exception as error:
        if isinstance(error, ConnectionError) and request.transport is None:
            # It hung up in the middle of its body; this is what it is not told.
            return _response(400, "bad_request", "the request ended early", {})
        _log.exception("a request crashed", method=request.method, route=_route(request))
        return problem_response(INTERNAL_ERROR)


def _of_aiohttp(error: web.HTTPException) -> web.StreamResponse:
    """aiohttp's own refusals; their text is ours where we gave one."""
    if error.status < 400:
        raise error
    code, title = _STATUSES.get(error.status, (f"http_{error.status}", error.reason))
    detail = error.text if error.text and error.text != f"{error.status}: {error.reason}" else title
    ours = (hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH)
    headers = {name: value for name, value in error.headers.items() if name not in ours}
    return _response(error.status, code, detail, headers)


def _response(status: int, code: str, detail: str, headers: dict[str, str]) -> web.Response:
    title = _STATUSES[status][1] if status in _STATUSES else detail
    problem = Problem(title=title, status=status, code=code, detail=detail, error=detail)
    return web.Response(
        status=status,
        text=problem.model_dump_json(),
        content_type=PROBLEM_JSON,
        headers={"Cache-Control": "no-store", **headers},
    )


def _route(request: web.Request) -> str:
    """The route's pattern: the path itself holds ids that are as good as passwords."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
