"""8.1, before deployment: what the machine has of what the service needs."""

import asyncio
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from media_service.diagnosis import encoding, phones, versions
from tests.checklist.account import OPEN_FILES, ROOT
from tests.checklist.point import Failed, NotApplicable, Point, Section
from tests.checklist.sockets import listening_sockets
from tests.checklist.stack import OTHER_PHONE, PHONE, Stack

PATIENCE = 10.0
"""Seconds in which what was just started may become healthy."""

_HARDWARE: Final = ("nvenc", "qsv", "vaapi")


def findings(stack: Stack, area: str) -> Sequence[Mapping[str, str]]:
    """What doctor found in that area. Raises `Failed` where it found a problem."""
    found = [each for each in stack.doctor["findings"] if each["area"] == area]
    if not found:
        raise Failed(f"doctor found nothing in the area {area!r}")
    for each in found:
        if each["status"] == "problem":
            raise Failed(f"{each['text']} > {each['remedy']}")
    return found


async def program_and_libraries(stack: Stack) -> str:
    said = [each["text"] for each in findings(stack, versions.AREA)]
    first = next((text for text in said if "Python 3." in text), None)
    if first is None:
        raise Failed(f"doctor names no Python: {said}")
    return f"in the place of the guide's Go: {first}; {said[1]}"


async def nothing_wrong(stack: Stack) -> str:
    statuses = [each["status"] for each in stack.doctor["findings"]]
    if not stack.doctor["isWell"]:
        problems = [each for each in stack.doctor["findings"] if each["status"] == "problem"]
        raise Failed("\n".join(f"{each['area']}: {each['text']} > {each['remedy']}" for each in problems))
    warnings = [each["text"] for each in stack.doctor["findings"] if each["status"] == "warning"]
    return "\n".join([f"{len(statuses)} findings, no problem", *(f"warning: {text}" for text in warnings)])


async def encoder(stack: Stack) -> str:
    said = [each["text"] for each in findings(stack, encoding.AREA)]
    ffmpeg = [each["text"] for each in findings(stack, versions.AREA) if "ffmpeg" in each["text"].lower()]
    chosen = next((text for text in said if text.endswith("is used")), None)
    if chosen is None or not ffmpeg:
        raise Failed(f"no encoder is chosen: {said}")
    return f"{chosen}; {'; '.join(text.partition(',')[0] for text in ffmpeg)}"


async def hardware_encoder(stack: Stack) -> str:
    said = [" ".join(each["text"].split()) for each in findings(stack, encoding.AREA)]
    trials = [text for text in said if text.partition(" ")[0] in _HARDWARE]
    usable = [text for text in trials if text.endswith(" works")]
    if not usable:
        raise NotApplicable("; ".join(trials))
    return "; ".join(usable)


async def adb(stack: Stack) -> str:
    server = next((each["text"] for each in findings(stack, phones.AREA) if "version" in each["text"]), None)
    if server is None:
        raise Failed("doctor finds no adb")
    for service, phone in ((stack.service, PHONE), (stack.second, OTHER_PHONE)):
        listed = (await service.ask("GET", "api/media/devices", token=service.token())).json()["devices"]
        states = {each["name"]: each["state"] for each in listed}
        if states.get(phone) != "online":
            raise Failed(f"phone {phone!r} of ADB_DEVICES is not online: {states}")
    return f"{server.partition(' (')[0].replace(f'{ROOT}/', '')}; phones {PHONE} and {OTHER_PHONE} are online"


async def docker(stack: Stack) -> str:
    answer = (await stack.service.ask("GET", "health/detailed")).json()
    status, reason = answer["dependencies"]["docker"], answer["reasons"].get("docker", "")
    if status == "disabled":
        raise NotApplicable(f"{reason}; phones are named in ADB_DEVICES")
    if status != "healthy":
        raise Failed(f"{status}: {reason}")
    return "the engine answers"


async def dependencies(stack: Stack) -> str:
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = (await stack.service.ask("GET", "health/detailed")).json()
        states, reasons = answer["dependencies"], answer["reasons"]
        away = [name for name in ("redis", "rabbitmq", "consul", "adb") if states[name] != "healthy"]
        if not away:
            break
        if time.monotonic() > deadline:
            raise Failed(
                "; ".join(f"{name} is {states[name]}: {reasons.get(name, 'no reason given')}" for name in away)
            )
        await asyncio.sleep(0.1)
    ids = {f"media-service-127.0.0.1-{service.port}" for service in (stack.service, stack.second)}
    if not ids <= stack.consul.services.keys():
        raise Failed(f"Consul knows {sorted(stack.consul.services)}, and not {sorted(ids)}")
    return "redis, rabbitmq, consul and adb are healthy; Consul's agent (a stand-in) lists both instances"


async def firewall(stack: Stack) -> str:
    config = stack.service.settings
    adb_port = config["ANDROID_ADB_SERVER_PORT"]["value"]
    media = range(config["ICE_PORT_MIN"]["value"], config["ICE_PORT_MAX"]["value"] + 1)
    told = []
    for service in (stack.service, stack.second):
        sockets = listening_sockets(service.process_id)
        unexpected = [
            each
            for each in sockets
            if (each.protocol, each.address, each.port)
            not in {("tcp", "127.0.0.1", p) for p in (service.port, adb_port)}
            and each.port not in media
        ]
        if unexpected:
            raise Failed(f"{service.name} listens on more than is documented: {', '.join(map(str, unexpected))}")
        numbers = sorted({each.port for each in sockets if each.port in media})
        told.append(f"127.0.0.1:{service.port} and media port {', '.join(map(str, numbers))}")
    return f"only the documented ones are listened on: {'; '.join(told)}; adb's server on 127.0.0.1:{adb_port}"


async def certificate(stack: Stack) -> str:
    trusting = stack.nginx.trusting()
    _, writer = await asyncio.open_connection(
        "127.0.0.1", stack.nginx.https_port, ssl=trusting, server_hostname="localhost"
    )
    found: Any = writer.get_extra_info("peercert")
    protocol = writer.get_extra_info("ssl_object").version()
    writer.close()
    await writer.wait_closed()
    ends_at = ssl.cert_time_to_seconds(found["notAfter"])
    hours = (ends_at - time.time()) / 3600
    if hours <= 0:
        raise Failed(f"it ended at {found['notAfter']}")
    names = ", ".join(value for _, value in found["subjectAltName"])
    return f"served by nginx and verified ({protocol}) for {names}; good for {hours:.0f} h"


async def log_folder(stack: Stack) -> str:
    config = stack.service.settings
    if not config["ENABLE_FILE_LOGGING"]["value"]:
        raise Failed("ENABLE_FILE_LOGGING is false: nothing is written there")
    path = Path(config["LOG_FILE"]["value"])
    status = path.parent.stat()
    if status.st_uid != stack.host.account.user_id or status.st_mode & 0o027:
        raise Failed(f"{path.parent} belongs to user {status.st_uid} and has mode {status.st_mode & 0o777:o}")
    lines = (await asyncio.to_thread(path.read_text)).count("\n")
    if not lines:
        raise Failed(f"{path} is empty")
    return (
        f"/var/log/media-service is {stack.host.account.name}'s, mode {status.st_mode & 0o777:o}; {lines} lines so far"
    )


async def open_files(stack: Stack) -> str:
    unit = (stack.host.units / "media-service.service").read_text()
    for line in (f"LimitNOFILE={OPEN_FILES}", "LimitCORE=0", "TasksMax=4096"):
        if f"\n{line}\n" not in unit:
            raise Failed(f"the unit does not say {line}")
    limits = await asyncio.to_thread(Path(f"/proc/{stack.service.process_id}/limits").read_text)
    files = int(re.findall(r"^Max open files +(\d+)", limits, re.MULTILINE)[0])
    core = re.findall(r"^Max core file size +(\S+)", limits, re.MULTILINE)[0]
    if core != "0":
        raise Failed(f"a core file may have {core} bytes, and would hold the keys of sessions")
    if files < OPEN_FILES:
        raise NotApplicable(f"the unit asks for {OPEN_FILES} open files, and this machine allows {files}")
    return f"{files} files may be open, as the unit says, and no core is written"


async def socket_buffers(_: Stack) -> str:
    text = (ROOT / "systemd" / "sysctl.conf").read_text()
    wanted = dict(re.findall(r"^(net\.core\.\w+) = (\d+)$", text, re.MULTILINE))
    there = {name: await asyncio.to_thread(_sysctl, name) for name in wanted}
    short = [f"{name} is {there[name]} of {wanted[name]}" for name in wanted if there[name] < int(wanted[name])]
    if short:
        raise NotApplicable(
            f"{', '.join(short)}: make install puts a file for sysctl in place, this changes no machine"
        )
    return ", ".join(f"{name} is {value}" for name, value in there.items())


def _sysctl(name: str) -> int:
    return int(Path("/proc/sys", *name.split(".")).read_text())


SECTION = Section(
    "8.1",
    "Before deployment",
    (
        Point("Program and libraries", program_and_libraries),
        Point("Doctor finds no problem", nothing_wrong),
        Point("FFmpeg and an encoder of H.264", encoder),
        Point("Encoder in hardware", hardware_encoder),
        Point("adb and phones", adb),
        Point("Docker, for Redroid", docker),
        Point("Redis, RabbitMQ and Consul", dependencies),
        Point("Ports for the firewall", firewall),
        Point("TLS certificate", certificate),
        Point("Log folder", log_folder),
        Point("Limits of the process", open_files),
        Point("Socket buffers", socket_buffers),
    ),
)
