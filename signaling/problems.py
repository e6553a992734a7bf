"""Every error of the HTTP API as `application/problem+json` (RFC 9457) with a stable `code`.

`error` repeats the text for clients that read `{"error": …}`.
"""

import json
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import hdrs, web

from capture.errors import CaptureError, DeviceNotFound, InputRejected
from signaling.errors import Conflict, DeviceUnavailable, NotFound, SignalingError, Unauthorized

_log = structlog.get_logger(__name__)

DEVICE_RETRY_SECONDS = 5
"""When a device that does not answer may be tried again: adb has reconnected it by then, or will not soon."""

INTERNAL_ERROR = SignalingError("something went wrong here; the service's log says what")

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
    except Exception:
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
    body = {"title": title, "status": status, "code": code, "detail": detail, "error": detail}
    return web.Response(
        status=status,
        text=json.dumps(body),
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", **headers},
    )


def _route(request: web.Request) -> str:
    """The route's pattern: the path itself holds ids that are as good as passwords."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
