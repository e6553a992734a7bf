"""WHEP (draft-ietf-wish-whep-03, with RFC 9725's rules): one POST starts watching, one DELETE ends it.

POST    /api/media/whep/{deviceId}                offer -> 201, answer, Location, ETag, Link
OPTIONS /api/media/whep/{deviceId}                -> 200, Accept-Post, Link
PATCH   /api/media/whep/{deviceId}/{sessionId}    candidates -> 204; new ICE credentials -> 200
DELETE  /api/media/whep/{deviceId}/{sessionId}    -> 200

An offer without a codec of ours is answered 406 with a problem. The draft lets a server offer by a 406 too, which is
told apart by its `application/sdp`; we never do: who offered no H.264 would not find it in an offer of ours.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from aiohttp import hdrs, web
from multidict import CIMultiDict

from signaling.candidates import parse_trickle_fragment, serialize_trickle_fragment
from signaling.errors import MalformedSdp, NotFound
from signaling.guard import caller_of
from signaling.service import Service, SessionHandle

SDP = "application/sdp"
TRICKLE_FRAGMENT = "application/trickle-ice-sdpfrag"

_ENDPOINT = "/api/media/whep/{device_id}"
_SESSION = "/api/media/whep/{device_id}/{session_id}"
_ACCEPT_PATCH = "Accept-Patch"
_ACCEPT_POST = "Accept-Post"
_FORWARDED_PREFIX = "X-Forwarded-Prefix"
_NO_STORE = {hdrs.CACHE_CONTROL: "no-store"}

# Nothing that begins with two slashes, which would name another host.
_PREFIX = re.compile(r"(?:/[\w.~%-]{1,100}){1,10}", re.ASCII)


def add_routes(app: web.Application, service: Service) -> None:
    """Add the WHEP endpoints and sessions of `service`."""
    whep = Whep(service)
    router = app.router
    router.add_post(_ENDPOINT, whep.start)
    router.add_get(_ENDPOINT, _nothing, allow_head=False)
    router.add_head(_ENDPOINT, _here)
    router.add_options(_ENDPOINT, whep.options)
    router.add_patch(_SESSION, whep.change)
    router.add_delete(_SESSION, whep.end)
    router.add_get(_SESSION, whep.get, allow_head=False)
    router.add_head(_SESSION, whep.head)
    router.add_options(_SESSION, _session_options)


class Whep:
    """The requests that need the service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def start(self, request: web.Request) -> web.Response:
        """POST to the endpoint: watch the device."""
        offer = await _body(request, SDP, _ACCEPT_POST)
        caller = caller_of(request)
        session, answer = await self._service.answer(request.match_info["device_id"], offer, caller)
        headers = CIMultiDict(_NO_STORE)
        headers[hdrs.LOCATION] = f"{_outer_path(request, session.device_id)}/{session.session_id}"
        headers[hdrs.ETAG] = session.etag
        headers[_ACCEPT_PATCH] = TRICKLE_FRAGMENT
        for link in ice_server_links(self._service.ice_servers(caller)):
            headers.add(hdrs.LINK, link)
        return _content(answer, SDP, headers, status=201)

    async def options(self, request: web.Request) -> web.Response:
        """OPTIONS of the endpoint: what may be posted, and the ICE servers.

        Some WebRTC stacks have to know the servers before they offer. A browser that asks whether a page may post
        learns them from the answer to the POST (RFC 9725 section 4.6).
        """
        headers = CIMultiDict(_NO_STORE)
        headers[_ACCEPT_POST] = SDP
        headers[hdrs.ALLOW] = "OPTIONS, GET, HEAD, POST"
        if hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
            for link in ice_server_links(self._service.ice_servers(caller_of(request))):
                headers.add(hdrs.LINK, link)
        return web.Response(headers=headers)

    async def change(self, request: web.Request) -> web.Response:
        """PATCH to the session: trickled candidates, or an ICE restart where the credentials are new."""
        session = self._session(request)
        text = await _body(request, TRICKLE_FRAGMENT, _ACCEPT_PATCH)
        _check_precondition(request, session)
        fragment = parse_trickle_fragment(text)
        if fragment.credentials is None or fragment.credentials.username_fragment == session.remote_username_fragment:
            session.add_candidates(fragment)
            return web.Response(status=204)
        ours = replace(session.restart_ice(fragment), mid=fragment.mid, kind=fragment.kind)
        headers = CIMultiDict(_NO_STORE)
        headers[hdrs.ETAG] = session.etag
        return _content(serialize_trickle_fragment(ours), TRICKLE_FRAGMENT, headers)

    async def end(self, request: web.Request) -> web.Response:
        """DELETE of the session: everything it held is free when this is answered."""
        await self._session(request).aclose("the viewer left")
        return web.Response()

    async def get(self, request: web.Request) -> web.Response:
        """GET of the session: 2xx while there is one, without a body."""
        self._session(request)
        return await _nothing(request)

    async def head(self, request: web.Request) -> web.Response:
        """HEAD of the session."""
        self._session(request)
        return web.Response()

    def _session(self, request: web.Request) -> SessionHandle:
        session = self._service.session(request.match_info["session_id"], caller_of(request))
        if session.device_id != request.match_info["device_id"]:
            raise NotFound("the device has no such session", code="session_not_found")
        return session


def ice_server_links(ice_servers: Sequence[dict[str, str | list[str]]]) -> list[str]:
    """`Link` values, one for each URL of `RTCConfiguration.iceServers` (RFC 9725 section 4.6)."""
    links = []
    for server in ice_servers:
        urls = server["urls"]
        parameters = ['rel="ice-server"']
        if "username" in server:
            parameters.append(f"username={_quoted(server['username'])}")
        if "credential" in server:
            parameters += [f"credential={_quoted(server['credential'])}", 'credential-type="password"']
        links += ["; ".join((f"<{url}>", *parameters)) for url in ([urls] if isinstance(urls, str) else urls)]
    return links


async def _nothing(_: web.Request) -> web.Response:
    return web.Response(status=204)


async def _here(_: web.Request) -> web.Response:
    # By this media type a player recognises that an address is to be played with WHEP.
    return web.Response(content_type=SDP)


async def _session_options(_: web.Request) -> web.Response:
    headers = {_ACCEPT_PATCH: TRICKLE_FRAGMENT, hdrs.ALLOW: "OPTIONS, GET, HEAD, PATCH, DELETE"}
    return web.Response(headers=headers)


def _content(text: str, content_type: str, headers: CIMultiDict[str], *, status: int = 200) -> web.Response:
    """Without a charset, which neither type has a parameter for and strict players do not expect."""
    headers[hdrs.CONTENT_TYPE] = content_type
    return web.Response(status=status, body=text.encode(), headers=headers)


def _outer_path(request: web.Request, device_id: str) -> str:
    """The device's endpoint as the client knows it: a proxy that took a prefix away says which one."""
    prefix = request.headers.get(_FORWARDED_PREFIX, "").rstrip("/")
    path = request.rel_url.raw_path
    if request.match_info["device_id"] != device_id:
        # By another of its names. The session knows the device by one.
        path = f"{path.rpartition('/')[0]}/{quote(device_id, safe=':')}"
    return f"{prefix if _PREFIX.fullmatch(prefix) else ''}{path}"


async def _body(request: web.Request, content_type: str, accepts: str) -> str:
    if request.content_type != content_type:
        given = request.headers.get(hdrs.CONTENT_TYPE, "none")
        raise web.HTTPUnsupportedMediaType(
            text=f"Content-Type must be {content_type}, not {given[:60]!r}", headers={accepts: content_type}
        )
    body = await request.read()
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise MalformedSdp("the body must be UTF-8 (RFC 8866 section 4.5)") from None


def _check_precondition(request: web.Request, session: SessionHandle) -> None:
    """A PATCH names the ICE session it is for, or `*` for a restart (RFC 9725 section 4.3.1)."""
    tags = request.if_match
    if tags is None:
        text = 'If-Match is missing: it must be the ETag of this session, or "*" to restart ICE'
        raise web.HTTPPreconditionRequired(text=text)
    if not any(tag.value == "*" or (not tag.is_weak and f'"{tag.value}"' == session.etag) for tag in tags):
        raise web.HTTPPreconditionFailed(
            text=f"If-Match must be {session.etag}, the ETag of the ICE session there is now"
        )


def _quoted(value: str | list[str]) -> str:
    """A quoted-string (RFC 9110 section 5.6.4)."""
    text = value if isinstance(value, str) else " ".join(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
