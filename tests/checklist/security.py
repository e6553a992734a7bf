"""8.6, security: what is shut."""

import asyncio
import re
import socket
import ssl
import time
import warnings
from pathlib import Path
from typing import Final

import aiohttp
import jwt

from tests.checklist.answer import ELSEWHERE, OUTSIDE, ask
from tests.checklist.point import Failed, Point, Section
from tests.checklist.service import AUDIENCE, ISSUER, made_secret
from tests.checklist.sockets import listening_sockets
from tests.checklist.stack import ALLOWED_ORIGIN, Stack

_CLOSED: Final = ("metrics", "health/detailed", "debug/pprof/goroutine")
_STRANGER: Final = "https://evil.example.net"


async def not_root(stack: Stack) -> str:
    told = []
    for service in (stack.service, stack.second):
        text = await asyncio.to_thread(Path(f"/proc/{service.process_id}/status").read_text)
        status = dict(re.findall(r"^(\w+):\s+(.*)$", text, re.MULTILINE))
        users = {int(number) for number in status["Uid"].split()}
        if 0 in users:
            raise Failed(f"{service.name} runs as root (process {service.process_id})")
        rights = [name for name in ("CapEff", "CapPrm", "CapAmb") if int(status[name], 16)]
        if rights:
            raise Failed(f"{service.name} has rights of root's: {', '.join(rights)}")
        told.append(f"process {service.process_id} is user {users.pop()}'s")
    unit = (stack.host.units / "media-service.service").read_text()
    if not re.search(r"^User=(?!root$)\w+$", unit, re.MULTILINE) or "\nCapabilityBoundingSet=\n" not in unit:
        raise Failed("the unit does not name a user, or leaves it capabilities")
    return f"{' and '.join(told)} ({stack.host.account.name}), without capabilities; the unit says User=cloudphone"


async def file_permissions(stack: Stack) -> str:
    host, seen = stack.host, []
    for path, shown, most in (
        (host.settings_file, "media-service.env", 0o640),
        (host.logs, "log folder", 0o750),
        (host.logs / "app.log", "log", 0o640),
        (host.state, "state folder", 0o700),
        (host.state / ".android" / "adbkey", "adb's key", 0o600),
    ):
        mode = (await asyncio.to_thread(path.stat)).st_mode & 0o777
        if mode & ~most:
            raise Failed(f"{shown} has mode {mode:o}, and {most:o} at most was expected")
        seen.append(f"{shown} {mode:o}")
    return ", ".join(seen)


async def restricted_paths(stack: Stack) -> str:
    for path in _CLOSED:
        by_nginx = await ask("GET", stack.nginx.address + path, trusting=stack.nginx.trusting(), source=ELSEWHERE)
        direct = await stack.service.ask("GET", path, headers={"X-Forwarded-For": OUTSIDE})
        inside = await ask("GET", stack.nginx.address + path, trusting=stack.nginx.trusting())
        if (by_nginx.status, direct.status, inside.status) != (403, 403, 200):
            raise Failed(
                f"/{path}: nginx answers {by_nginx.status} to others and {inside.status} to this machine, the service "
                f"{direct.status} to who asks from {OUTSIDE}"
            )
    addresses = {
        each.address for each in listening_sockets(stack.service.process_id) if each.port == stack.service.port
    }
    if addresses != {"127.0.0.1"}:
        raise Failed(f"the API listens on {sorted(addresses)}")
    paths = ", ".join(f"/{path}" for path in _CLOSED)
    return f"{paths}: 403 to others, by nginx and by the service; port {stack.service.port} is on 127.0.0.1 only"


async def encrypted(stack: Stack) -> str:
    versions = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    port = stack.nginx.https_port
    taken = [version for version in versions if await asyncio.to_thread(_is_spoken, version, port)]
    if taken != [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]:
        raise Failed(f"nginx speaks {', '.join(version.name for version in taken) or 'no TLS'}")
    plain = await ask("GET", f"http://127.0.0.1:{stack.nginx.http_port}/")
    if plain.status != 301 or not plain.headers["Location"].startswith("https://"):
        raise Failed(f"http is answered with {plain.status} and not sent to https")
    secure = await ask("GET", stack.nginx.address, trusting=stack.nginx.trusting())
    if "max-age=" not in secure.headers.get("Strict-Transport-Security", ""):
        raise Failed("there is no Strict-Transport-Security")
    return "nginx speaks TLS 1.2 and 1.3, not 1.0 and 1.1; http is sent to https, and HSTS is set"


def _is_spoken(version: ssl.TLSVersion, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # Otherwise it would be us who do not speak the old ones.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), 5.0) as plain:
        try:
            with context.wrap_socket(plain):
                return True
        except ssl.SSLError as error:
            if error.reason != "TLSV1_ALERT_PROTOCOL_VERSION":
                raise
            return False


async def authentication(stack: Stack) -> str:
    service, now = stack.service, int(time.time())
    claims = {"sub": "checklist", "iss": ISSUER, "aud": AUDIENCE, "roles": ["admin"], "exp": now + 600}
    wrong: dict[str, str | None] = {
        "none": None,
        "no token at all": "nonsense",
        "of another secret": jwt.encode(claims, made_secret(), "HS256"),
        "unsigned": jwt.encode(claims, "", "none"),
        "expired": jwt.encode(claims | {"exp": now - 600}, service.secret, "HS256"),
        "of another issuer": jwt.encode(claims | {"iss": "somebody"}, service.secret, "HS256"),
        "for another audience": jwt.encode(claims | {"aud": "somebody"}, service.secret, "HS256"),
    }
    for method, path in (("GET", "api/media/devices"), ("GET", "api/media/sessions"), ("POST", "api/media/whep/lobby")):
        for what, token in wrong.items():
            answer = await ask(method, stack.nginx.address + path, token=token, trusting=stack.nginx.trusting())
            if answer.status != 401 or "WWW-Authenticate" not in answer.headers:
                raise Failed(f"{method} /{path} with a token {what}: {answer.status}")
    if await _websocket_opens(stack):
        raise Failed("a WebSocket opens without a token")
    right = await ask(
        "GET", f"{stack.nginx.address}api/media/devices", token=service.token(), trusting=stack.nginx.trusting()
    )
    if right.status != 200:
        raise Failed(f"GET /api/media/devices with a good token: {right.status}")
    return f"401 without a token and with {len(wrong) - 1} kinds of wrong ones, for WebSockets too; 200 with a good one"


async def _websocket_opens(stack: Stack) -> bool:
    address = f"{stack.nginx.address}api/media/ws?ticket=guessed"
    connector = aiohttp.TCPConnector(ssl=stack.nginx.trusting())
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            async with session.ws_connect(address):
                return True
        except aiohttp.WSServerHandshakeError as error:
            if error.status != 401:
                raise
            return False


async def other_origins(stack: Stack) -> str:
    address, trusting = f"{stack.nginx.address}api/media/devices", stack.nginx.trusting()
    preflight = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    allowed = await ask("OPTIONS", address, headers={"Origin": ALLOWED_ORIGIN, **preflight}, trusting=trusting)
    if allowed.status != 204 or allowed.headers.get("Access-Control-Allow-Origin") != ALLOWED_ORIGIN:
        raise Failed(f"pages of {ALLOWED_ORIGIN}, which ALLOWED_ORIGINS names: {allowed.status} {allowed.text}")
    token = stack.service.token()
    for method, headers in (("OPTIONS", preflight), ("GET", {})):
        answer = await ask(method, address, headers={"Origin": _STRANGER, **headers}, token=token, trusting=trusting)
        if answer.status != 403 or "Access-Control-Allow-Origin" in answer.headers:
            raise Failed(f"pages of {_STRANGER}: {method} is answered with {answer.status}")
    own = await ask("GET", address, headers={"Origin": stack.nginx.address.rstrip("/")}, token=token, trusting=trusting)
    if own.status != 200:
        raise Failed(f"the viewer page itself: {own.status}")
    return f"{ALLOWED_ORIGIN} (ALLOWED_ORIGINS) and the page itself are let in, {_STRANGER} is refused (403)"


async def quiet_logs(stack: Stack) -> str:
    settings = dict(re.findall(r"^([A-Z0-9_]+)=(.+)$", stack.host.settings_file.read_text(), re.MULTILINE))
    secrets = {name: settings[name] for name in ("JWT_SECRET", "TURN_SECRET", "REDIS_PASSWORD") if name in settings}
    files = [*stack.host.logs.iterdir(), stack.service.program.output, stack.second.program.output]
    files += [path for path in stack.nginx.folder.glob("*.log") if path.is_file()]
    for path in files:
        text = await asyncio.to_thread(path.read_text, errors="replace")
        found = [name for name, value in secrets.items() if value in text]
        # What every token begins with.
        found += ["a token"] if re.search(r"eyJ[\w-]{10,}\.eyJ", text) else []
        found += ["an SDP"] if "a=ice-pwd:" in text else []
        if found:
            raise Failed(f"{path.name} has {', '.join(found)} in it")
    return f"no secret, token or description in {len(files)} files of the service and of nginx"


SECTION = Section(
    "8.6",
    "Security",
    (
        Point("Not root", not_root),
        Point("File permissions", file_permissions),
        Point("Metrics and profiles are shut", restricted_paths),
        Point("TLS", encrypted),
        Point("Authentication", authentication),
        Point("CORS", other_origins),
        Point("Logs keep secrets", quiet_logs),
    ),
)
