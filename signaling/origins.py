"""Which web sites may speak to a service that has no passwords: this one's own pages, and the configured ones.

Browsers say who is asking in `Origin`. A page of another site could send requests to a service on the person's own
machine (cross-site request forgery), also under a name of its own that it made point here (DNS rebinding), which `Host`
gives away. Programs send no `Origin` and are not stopped.

Behind a proxy that is trusted the page's host is the one that the proxy was asked for (`X-Forwarded-Host`).
"""

from collections.abc import Iterable, Sequence

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware
from multidict import CIMultiDict
from yarl import URL

from signaling.errors import Forbidden
from signaling.networks import is_address, is_within
from signaling.problems import Handler, problem_response

_PREFLIGHT_SECONDS = 600
_METHODS = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
_REQUEST_HEADERS = "Authorization, Content-Type, If-Match, If-None-Match"
_RESPONSE_HEADERS = (
    "Accept-Patch, Accept-Post, Allow, Content-Disposition, ETag, Link, Location, Retry-After, WWW-Authenticate"
)


def only_known_origins(allowed_origins: Iterable[str], trusted_proxies: Sequence[str] = ()) -> Middleware:
    """Refuses requests of other sites' pages with 403, and answers the CORS of the allowed ones (Fetch section 3.2).

    A WebSocket begins with such a request and has no CORS: its origin is checked as all others are.
    """
    allowed = frozenset(allowed_origins)

    @web.middleware
    async def known_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or any(_is_same(origin, host) for host in _hosts(request, trusted_proxies)):
            return await handler(request)
        if origin not in allowed:
            return problem_response(
                Forbidden(f"pages of {origin[:100]!r} may not use this service: name it in ALLOWED_ORIGINS")
            )
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            response: web.StreamResponse = web.Response(status=204, headers=_preflight_headers())
        else:
            response = await handler(request)
        if not response.prepared:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _RESPONSE_HEADERS
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        return response

    return known_origin


def only_known_hosts(allowed_origins: Iterable[str], trusted_proxies: Sequence[str] = ()) -> Middleware:
    """Refuses requests for a name that is neither this machine's, nor an address, nor that of an allowed origin.

    For a service without tokens: where they are needed, a page under a name of its own has none to send.
    """
    allowed = {URL(origin).host for origin in allowed_origins}

    @web.middleware
    async def known_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        for host in map(_host_name, _hosts(request, trusted_proxies)):
            if not _is_own_name(host) and host not in allowed:
                detail = f"this service is not {host[:100]!r}: use its address, or name the site in ALLOWED_ORIGINS"
                return problem_response(Forbidden(detail))
        return await handler(request)

    return known_host


def _preflight_headers() -> CIMultiDict[str]:
    return CIMultiDict(
        {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _REQUEST_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(_PREFLIGHT_SECONDS),
        }
    )


def _hosts(request: web.Request, trusted_proxies: Sequence[str]) -> list[str]:
    """What the service was called: here, and where a trusted proxy says so, there. Old clients do not say."""
    hosts = request.headers.getall(hdrs.HOST, [])
    if is_within(request.remote or "", trusted_proxies):
        # The last proxy appends what it was asked for.
        hosts += [value.rpartition(",")[2].strip() for value in request.headers.getall(hdrs.X_FORWARDED_HOST, ())]
    return hosts


def _is_same(origin: str, host: str) -> bool:
    """Whether the page came from there. A proxy may have ended TLS, so the scheme is not compared."""
    scheme, separator, authority = origin.partition("://")
    if not separator or not host:
        return False
    default = {"http": ":80", "https": ":443"}.get(scheme, "")
    return authority.lower().removesuffix(default) == host.lower().removesuffix(default)


def _host_name(host: str) -> str:
    """The name in a `Host` header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().removesuffix(".")


def _is_own_name(host: str) -> bool:
    # A name can be made to point here, an address cannot.
    return host == "localhost" or host.endswith(".localhost") or is_address(host)
