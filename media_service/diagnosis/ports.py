"""Whether the ports of the API and of the media can be had, by taking them for a moment."""

import asyncio
import errno
import json
import socket
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack

from media_service.diagnosis.finding import Finding, ok, problem, warning
from media_service.diagnosis.reason import reason
from media_service.rtc.candidates import host_addresses
from media_service.settings import Settings

AREA = "Ports"

_TIMEOUT = 3.0
_LARGEST_ANSWER = 65_536


async def check(settings: Settings) -> Sequence[Finding]:
    """One of the API and one of the media."""
    return await asyncio.gather(asyncio.to_thread(_api, settings), asyncio.to_thread(_media, settings))


def _api(settings: Settings) -> Finding:
    where = f"TCP {settings.host}:{settings.port}"
    if settings.port == 0:
        return ok(AREA, f"{settings.host}: any free TCP port serves the API")
    try:
        infos = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        with ExitStack() as stack:
            for family, address in dict.fromkeys((info[0], info[4][:2]) for info in infos):
                stack.enter_context(socket.create_server(address, family=family))
        return ok(AREA, f"{where} is free for the API")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _user_of(settings, where)
        if error.errno == errno.EACCES:
            remedy = "set PORT to 1024 or more and let Nginx listen there, or allow it: setcap cap_net_bind_service"
        else:
            remedy = "set HOST to an address of this machine, or to 0.0.0.0 for all of them"
        return problem(AREA, f"{where} cannot be used: {reason(error)}", remedy)


def _user_of(settings: Settings, where: str) -> Finding:
    """Who has the API's port: this service already, or another program."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    url = f"http://[{host}]:{settings.port}/health" if ":" in host else f"http://{host}:{settings.port}/health"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_TIMEOUT) as response:
            health = json.loads(response.read(_LARGEST_ANSWER))
        status, version = health["status"], health["version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        remedy = f"stop it, or set PORT; ss -tlnp 'sport = :{settings.port}' names it"
        return problem(AREA, f"{where} is used by another program", remedy)
    text = f"{where}: media-service {version} runs there and is {status}"
    return ok(AREA, text) if status == "healthy" else warning(AREA, text, f"ask {url}/detailed what it lacks")


def _media(settings: Settings) -> Finding:
    ports = range(settings.ice_port_min, settings.ice_port_max + 1)
    hosts = host_addresses()
    for number in ports:
        if _is_free(hosts, number):
            used = f", {number - ports.start} before it are in use" if number > ports.start else ""
            return ok(AREA, f"UDP and TCP {number} of {ports.start}..{ports.stop - 1} are free for media{used}")
    return problem(
        AREA,
        f"no port of {ports.start}..{ports.stop - 1} is free for media on UDP and TCP of {', '.join(hosts)}",
        "widen ICE_PORT_MIN and ICE_PORT_MAX, or stop what uses these ports",
    )


def _is_free(hosts: Sequence[str], number: int) -> bool:
    with ExitStack() as stack:
        count = 0
        for host in hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                udp = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                udp.bind((host, number))
                stack.enter_context(socket.create_server((host, number), family=family))
            except OSError as error:
                # As the media port does: an address that went away meanwhile is left out.
                if error.errno != errno.EADDRNOTAVAIL:
                    return False
            else:
                count += 1
        return count > 0
