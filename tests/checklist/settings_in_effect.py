"""8.2, configuration: what is set is in effect."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any, Final

from aioice.stun import TransactionFailed

from tests.checklist.point import Failed, Point, Section
from tests.checklist.sockets import listening_sockets
from tests.checklist.stack import OTHER_PHONE, PHONE, Stack
from tests.checklist.watching import session_id
from tests.fixtures.coturn import allocation

_MASK: Final = "**********"


async def settings_file(stack: Stack) -> str:
    config = stack.service.settings
    written = dict(re.findall(r"^([A-Z0-9_]+)=(.+)$", stack.host.settings_file.read_text(), re.MULTILINE))
    elsewhere = {name: config[name]["source"] for name in written if config[name]["source"] != ".env"}
    if elsewhere:
        raise Failed(f"what the file says of these is not what counts: {elsewhere}")
    secrets = [name for name, each in config.items() if each["value"] == _MASK]
    shown = [name for name in written if re.search("SECRET$|PASSWORD$|^RABBITMQ_URL$", name) and name not in secrets]
    if shown:
        raise Failed(f"media-service config shows {', '.join(shown)}")
    return f"{len(written)} of {len(config)} settings are from the file, none misspelt; secrets are masked"


async def capture_mode(stack: Stack) -> str:
    capture, wanted = (await _explained(stack))["capture"], stack.service.settings["CAPTURE_MODE"]["value"]
    if capture["mode"] != wanted:
        raise Failed(f"CAPTURE_MODE={wanted}, and the phone is captured by {capture['mode']}: {capture['reason']}")
    device = await _device(stack)
    return f"CAPTURE_MODE={wanted}: {device['name']} is captured by {capture['mode']}: {device['reason']}"


async def encoder_type(stack: Stack) -> str:
    video, wanted = (await _explained(stack))["video"], stack.service.settings["VIDEO_ENCODER_TYPE"]["value"]
    pictures = (await stack.service.metrics())["media_service_encoder_pictures_total"]
    if video["coding"] != wanted or pictures:
        raise Failed(f"VIDEO_ENCODER_TYPE={wanted}: {video['coding']}, and {pictures:.0f} pictures were coded here")
    return f"VIDEO_ENCODER_TYPE={wanted}: {video['codingReason']}; 0 pictures were coded here"


async def worker_pool(stack: Stack) -> str:
    second = stack.second
    config = second.settings
    kind, count = config["VIDEO_ENCODER_TYPE"]["value"], config["WORKER_COUNT"]["value"]
    if not config["USE_WORKER_POOL"]["value"]:
        raise Failed("USE_WORKER_POOL is false")
    page = await stack.watching.opened(stack.link(second.address, OTHER_PHONE, second.token()))
    try:
        pictures = (await second.metrics())["media_service_encoder_pictures_total"]
        stacks = (await second.ask("GET", "debug/pprof/goroutine?debug=2")).text
        threads = set(re.findall(r"^thread \d+ \[(encoder-\d+)\]", stacks, re.MULTILINE))
    finally:
        await page.context.close()
    if not pictures or not threads or len(threads) > count:
        raise Failed(f"{pictures:.0f} pictures were coded by {len(threads)} threads, WORKER_COUNT={count}")
    return (
        f"second instance, VIDEO_ENCODER_TYPE={kind}: {pictures:.0f} pictures coded for a viewer by "
        f"{len(threads)} of at most {count} threads"
    )


async def stun_and_turn(stack: Stack) -> str:
    answer = await stack.service.ask("GET", "api/media/turn-credentials", token=stack.service.token())
    servers = answer.json()["iceServers"]
    urls = [
        url for server in servers for url in ([server["urls"]] if isinstance(server["urls"], str) else server["urls"])
    ]
    wanted = {stack.turn.stun_url, *stack.turn.turn_urls.split(",")}
    if set(urls) != wanted:
        raise Failed(f"browsers are handed {urls} and not {sorted(wanted)}")
    given = next(server for server in servers if "credential" in server)
    relays = []
    for transport in ("udp", "tcp"):
        async with allocation(stack.turn.port, given["username"], given["credential"], transport) as relay:
            relays.append(relay.get_extra_info("sockname")[1])
    try:
        async with allocation(stack.turn.port, given["username"], "guessed", "udp"):
            raise Failed("coturn relays for who guesses a password")
    except TransactionFailed:
        pass
    seconds = stack.service.settings["TURN_TTL"]["value"]
    return (
        f"{len(urls)} URLs handed out; coturn gave relays over UDP and TCP for the credentials, "
        f"good for {seconds}, and none for a guessed password"
    )


async def media_ports(stack: Stack) -> str:
    config = stack.service.settings
    first, last = config["ICE_PORT_MIN"]["value"], config["ICE_PORT_MAX"]["value"]
    found = []
    for service in (stack.service, stack.second):
        sockets = [each for each in listening_sockets(service.process_id) if each.program != "adb"]
        udp = {each.port for each in sockets if each.protocol == "udp"}
        tcp = {each.port for each in sockets if each.protocol == "tcp"} - {service.port}
        if len(udp) != 1 or udp != tcp or not udp <= set(range(first, last + 1)):
            raise Failed(f"{service.name}: UDP {sorted(udp)}, TCP {sorted(tcp)}, of {first} to {last} one was expected")
        found.append(min(udp))
    page = await stack.watching.page()
    candidate = await page.evaluate(_REMOTE_CANDIDATE)
    if candidate["port"] != found[0]:
        raise Failed(f"Chromium receives from port {candidate['port']}, and not {found[0]}")
    return (
        f"{found[0]} and {found[1]} of {first} to {last}, on UDP and TCP, one for each instance; "
        f"Chromium receives from {candidate['port']} by {(await _explained(stack))['path']['protocol']}"
    )


_REMOTE_CANDIDATE: Final = """async () => {
  const stats = await viewer().getStats();
  const { selectedCandidatePairId } = [...stats.values()].find(({ type }) => type === "transport");
  return stats.get(stats.get(selectedCandidatePairId).remoteCandidateId);
}"""


async def accelerator(stack: Stack) -> str:
    wanted = stack.service.settings["H264_HW_ACCEL"]["value"]
    trials = {
        (match[1], match[2]): works
        for name, works in (await stack.service.metrics()).items()
        if (match := re.fullmatch(r'media_service_encoder_works\{encoder="(\w+)",reason="(.*)"\}', name))
    }
    usable = [name for (name, _), works in trials.items() if works]
    if not usable:
        raise Failed(f"no encoder works: {trials}")
    return f"H264_HW_ACCEL={wanted}: {usable[0]} is the first that works of {', '.join(name for name, _ in trials)}"


async def monitoring_and_logs(stack: Stack) -> str:
    config = stack.service.settings
    off = [name for name in ("ENABLE_METRICS", "ENABLE_FILE_LOGGING") if not config[name]["value"]]
    if off:
        raise Failed(f"{', '.join(off)} is false")
    lines = await asyncio.to_thread(_log_lines, Path(config["LOG_FILE"]["value"]))
    events = {line["event"] for line in lines}
    if not {"serving", "viewer joined"} <= events:
        raise Failed(f"the log lacks what has happened: {sorted(events)}")
    errors = [line["event"] for line in lines if line["level"] in ("error", "critical")]
    if errors:
        raise Failed(f"the log has errors: {errors}")
    return f"/metrics answers, and {len(lines)} lines of JSON are in the log file, none of an error"


def _log_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def _explained(stack: Stack) -> Any:
    """Why the picture of the first instance's phone is as it is."""
    mine = await session_id(await stack.watching.page())
    answer = await stack.service.ask("GET", f"api/media/sessions/{mine}/explain", token=stack.service.token())
    return answer.json()


async def _device(stack: Stack) -> Any:
    listed = (await stack.service.ask("GET", "api/media/devices", token=stack.service.token())).json()["devices"]
    return next(each for each in listed if each["name"] == PHONE)


SECTION = Section(
    "8.2",
    "Configuration",
    (
        Point("Settings file (.env)", settings_file),
        Point("Way of capture", capture_mode),
        Point("Type of encoder", encoder_type),
        Point("Worker pool", worker_pool),
        Point("STUN and TURN", stun_and_turn),
        Point("ICE ports", media_ports),
        Point("Hardware acceleration", accelerator),
        Point("Monitoring and log", monitoring_and_logs),
    ),
)
