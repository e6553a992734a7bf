"""STUN and TURN servers: whether they answer, what they see of us, and whether they take our credentials."""

import asyncio
import socket
import time
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from media_service.diagnosis import stun_client
from media_service.diagnosis.finding import Finding, info, ok, problem, warning
from media_service.diagnosis.stun_client import Credentials, NoAnswer, Refused
from media_service.ice_url import IceUrl
from media_service.rtc.candidates import host_addresses
from media_service.settings import Settings
from signaling.turn_credentials import turn_credentials

AREA = "STUN and TURN"

_REMEDIES: Final = {
    401: "TURN_SECRET has to be coturn's static-auth-secret (with use-auth-secret), and both clocks have to agree; "
    "or else TURN_USERNAME and TURN_CREDENTIAL one of its users",
    403: "see what the server allows this address to do",
    437: "look again in a minute: the server still knows the address from before",
    441: "use another TURN_USERNAME",
    442: "let the server relay UDP",
    486: "raise the server's user-quota: this user has too many relays",
    508: "raise the server's total-quota, or its range from min-port to max-port",
}


async def check(settings: Settings) -> Sequence[Finding]:
    """Ask all of them at once."""
    hosts = host_addresses()
    stun = asyncio.gather(*(_stun(url, settings, hosts) for url in settings.stun_servers))
    turn = asyncio.gather(*(_turn(url, settings) for url in settings.turn_urls))
    return [*_addresses(settings, hosts), *await stun, *await turn]


def _addresses(settings: Settings, hosts: Sequence[str]) -> list[Finding]:
    """What viewers are told without anybody's help."""
    if settings.nat_1to1_ips:
        return [info(AREA, f"viewers are told of {', '.join(settings.nat_1to1_ips)} (NAT_1TO1_IPS)")]
    if any(ip_address(host).is_global for host in hosts):
        return [info(AREA, f"viewers are told of {', '.join(hosts)}")]
    if settings.stun_servers or settings.turn_urls:
        return []
    return [
        info(
            AREA,
            f"viewers are told of {', '.join(hosts)} only, which cannot be reached from the internet; NAT_1TO1_IPS, "
            "STUN_SERVERS or TURN_URLS would help if they should",
        )
    ]


async def _stun(url: IceUrl, settings: Settings, hosts: Sequence[str]) -> Finding:
    try:
        async with stun_client.server(url) as ask:
            address, port = await stun_client.discover(ask)
    except NoAnswer as error:
        return problem(
            AREA,
            f"{url}: {error}",
            "see whether the name and the port are right and a firewall lets UDP out and its answers in; or take it "
            "out of STUN_SERVERS",
        )
    if address in hosts:
        return ok(AREA, f"{url} answers; there is no NAT between")
    if settings.nat_1to1_ips and address not in settings.nat_1to1_ips:
        return warning(
            AREA,
            f"{url} sees this machine at {address}, which is not in NAT_1TO1_IPS",
            f"set NAT_1TO1_IPS={address} if the NAT maps one to one, or leave it out if it does not",
        )
    return ok(AREA, f"{url} answers; it sees this machine at {address}:{port}")


async def _turn(url: IceUrl, settings: Settings) -> Finding:
    if url.scheme == "turns" and url.transport == "udp":
        return info(AREA, f"{url} is TURN over DTLS, which is not tried here")
    try:
        async with stun_client.server(url) as ask:
            address, _ = await stun_client.allocate(ask, _credentials(settings))
    except NoAnswer as error:
        return problem(
            AREA, f"{url}: {error}", "see whether the server runs there and a firewall lets this machine and viewers in"
        )
    except Refused as error:
        return problem(
            AREA, f"{url} refuses a relay: {error}", _REMEDIES.get(error.code, "see what the server's log says")
        )
    relays_privately = ip_address(address).is_private and await _is_elsewhere(url)
    if relays_privately and not settings.nat_1to1_ips:
        return warning(
            AREA,
            f"{url} gives relays at {address}, a private address",
            "set coturn's external-ip if viewers are to reach it from the internet",
        )
    return ok(AREA, f"{url} takes our credentials; it gave a relay at {address}")


def _credentials(settings: Settings) -> Credentials:
    if settings.turn_secret is not None:
        made = turn_credentials(settings.turn_secret.get_secret_value(), "doctor", settings.turn_ttl, time.time())
        return Credentials(made.username, made.credential)
    password = settings.turn_credential.get_secret_value() if settings.turn_credential is not None else ""
    return Credentials(settings.turn_username or "", password)


async def _is_elsewhere(url: IceUrl) -> bool:
    """Whether the server is asked at a public address."""
    try:
        resolved = await asyncio.get_running_loop().getaddrinfo(url.host, url.port, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    return any(ip_address(str(entry[4][0]).partition("%")[0]).is_global for entry in resolved)
