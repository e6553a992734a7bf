"""8.3, functions: what viewers and their front-ends do, through nginx where they would."""

import asyncio
import re
import shutil
import subprocess
import time
from typing import Final

from media_service import __version__
from tests.checklist.host import Host
from tests.checklist.point import Failed, NotApplicable, Point, Section
from tests.checklist.service import WATCHDOG
from tests.checklist.stack import OTHER_PHONE, PHONE, Stack
from tests.checklist.watching import session_id, statistics

_PICTURES: Final = 30
_SOUND_PACKETS: Final = 50
_MOST_EXPOSED: Final = 20
"""Tenths, as systemd-analyze counts."""

_GUIDE_METRICS: Final = (
    "media_service_sessions_total",
    "media_service_active_sessions",
    "media_service_pipeline_fps",
    "media_service_pipeline_bitrate_bytes",
    "media_service_encoding_errors_total",
    "media_service_goroutines",
    "media_service_memory_bytes",
    "media_service_cpu_percent",
)

_PLAYED: Final = """([kind, count]) => until(async () => {
  const entries = [...(await viewer().getStats()).values()];
  const inbound = entries.find((each) => each.type === "inbound-rtp" && each.kind === kind);
  return inbound && (kind === "video" ? inbound.framesDecoded : inbound.packetsReceived) >= count && inbound;
})"""

_CONVERSATION: Final = """async ([device, token]) => {
  const headers = { Authorization: `Bearer ${token}` };
  const issued = await fetch("/api/media/tickets", { method: "POST", headers });
  const { ticket } = await issued.json();
  const address = new URL(`/api/media/ws?ticket=${ticket}`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const open = () => new Promise((resolve) => {
    const socket = new WebSocket(address);
    socket.onopen = () => resolve(socket);
    socket.onerror = () => resolve(null);
  });
  const socket = await open();
  if (socket === null) return { ticket: issued.status, heard: [] };
  const heard = await new Promise((resolve) => {
    const types = [];
    socket.onclose = () => resolve(types);
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.id === undefined) return;
      types.push(message.type);
      if (message.id === 1) socket.send(JSON.stringify({ type: "join", deviceId: device, id: 2 }));
      if (message.id === 2) socket.send(JSON.stringify({ type: "keyframe-request", id: 3 }));
      if (message.id === 3) socket.close();
    };
    socket.send(JSON.stringify({ type: "ping", id: 1 }));
  });
  return { ticket: issued.status, heard, again: (await open()) !== null };
}"""


async def units(stack: Stack) -> str:
    if shutil.which("systemd-analyze") is None:
        raise NotApplicable("no systemd-analyze")
    return await asyncio.to_thread(_verified, stack.host)


def _verified(host: Host) -> str:
    # What systemd brings itself, and the program that scripts/install would put there.
    program = host.folder / "opt" / "media-service" / "venv" / "bin" / "media-service"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    names = [f"{name}.target" for name in ("sysinit", "basic", "shutdown", "network-online", "multi-user")]
    names += [f"{name}.slice" for name in ("system", "system-media\\x2dservice", "-")]
    for name in names:
        (host.units / name).write_text("[Unit]\nDefaultDependencies=no\n")
    exposures = []
    for unit in ("media-service.service", "media-service@2.service"):
        said = _analyze("verify", f"--root={host.folder}", "--man=no", unit)
        # Older ones than 254 do not know these; the unit says so.
        complaints = [line for line in said.splitlines() if not re.search("RestartSteps|RestartMaxDelaySec", line)]
        if complaints:
            raise Failed(f"{unit}: {'; '.join(complaints)}")
        said = _analyze("security", "--offline=true", "--no-pager", f"--root={host.folder}", unit)
        exposure = float(re.findall(r"Overall exposure level.*: ([\d.]+)", said)[0])
        if exposure * 10 > _MOST_EXPOSED:
            raise Failed(f"{unit} is exposed by {exposure}, and may be by {_MOST_EXPOSED / 10}")
        exposures.append(exposure)
    return f"systemd-analyze has nothing to say of both installed units; exposure {max(exposures)} of at most 2.0"


def _analyze(*arguments: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        raise Failed(f"systemd-analyze {' '.join(arguments)} ended with {done.returncode}: {done.stdout[-1000:]}")
    return done.stdout


async def service_starts(stack: Stack) -> str:
    service = stack.service
    answer = await service.ask("GET", "livez")
    if answer.status != 200:
        raise Failed(f"GET /livez: {answer.status}")
    deadline = time.monotonic() + 2 * WATCHDOG
    before = service.told().count("WATCHDOG=1")
    while (alive := service.told().count("WATCHDOG=1")) == before:
        if time.monotonic() > deadline:
            raise Failed(f"no sign of life to systemd's watchdog within {2 * WATCHDOG:g} s")
        await asyncio.sleep(0.05)
    status = next(line.partition("=")[2] for line in service.told() if line.startswith("STATUS="))
    return (
        f'READY=1 to systemd after {service.ready_after:.1f} s ("{status}"), {alive} signs of life to its watchdog, '
        f"GET /livez: alive; version {__version__}"
    )


async def health(stack: Stack) -> str:
    answer = await stack.service.ask("GET", "health")
    said = answer.json()
    if answer.status != 200 or said["status"] != "healthy":
        raise Failed(f"GET /health: {answer.status}, {said['status']}; /health/detailed says why")
    return f"GET /health: healthy in {answer.milliseconds}, up {said['uptime']}"


async def detailed_health(stack: Stack) -> str:
    answer = await stack.service.ask("GET", "health/detailed")
    said = answer.json()
    if set(said["dependencies"]) != {"redis", "rabbitmq", "consul", "docker", "adb"}:
        raise Failed(f"GET /health/detailed names {sorted(said['dependencies'])}")
    states = ", ".join(f"{name} {status}" for name, status in said["dependencies"].items())
    return f"GET /health/detailed in {answer.milliseconds}: {states}"


async def session(stack: Stack) -> str:
    page = await stack.watching.page()
    browser, mine = await stack.watching.browser(), await session_id(page)
    answer = await stack.service.ask("GET", f"api/media/sessions/{mine}", token=stack.service.token())
    if answer.status != 200 or answer.json()["state"] != "connected":
        raise Failed(f"GET /sessions/{{id}}: {answer.status} {answer.text}")
    times = await page.evaluate("[viewer().firstPictureAt - viewer().offerSentAt, viewer().sessionAddress].map(String)")
    if not times[1].startswith(f"{stack.nginx.address}api/media/whep/"):
        raise Failed(f"the session is at {times[1]}, and not behind nginx")
    protocols = await page.evaluate("performance.getEntriesByType('resource').map((each) => each.nextHopProtocol)")
    return (
        f"Chromium {browser.version.partition('.')[0]} over https ({', '.join(sorted(set(protocols)))}) and WHEP: "
        f"connected, first picture {float(times[0]):.0f} ms after the offer"
    )


async def video(stack: Stack) -> str:
    page = await stack.watching.page()
    first = await page.evaluate("until(() => strip())")
    before = await statistics(page, "video")
    after = await page.evaluate(_PLAYED, ["video", before["framesDecoded"] + _PICTURES])
    number = (await page.evaluate("until(() => strip())"))["frameNumber"]
    if number <= first["frameNumber"]:
        raise Failed(f"the picture does not move: it is number {number} of the phone's")
    decoded = after["framesDecoded"] - before["framesDecoded"]
    rate = decoded * 1000 / (after["timestamp"] - before["timestamp"])
    return (
        f"{decoded} pictures of {after['frameWidth']}x{after['frameHeight']} decoded by Chromium over https, "
        f"{rate:.0f} per second; "
        f"{after['packetsLost']} packets lost, {after['freezeCount']} freezes"
    )


async def sound(stack: Stack) -> str:
    second = stack.second
    page = await stack.watching.opened(stack.link(second.address, OTHER_PHONE, second.token()))
    try:
        if not await page.evaluate("viewer().hasSound"):
            raise Failed("the phone has no sound for the page")
        await page.get_by_role("button", name="Unmute").click()
        await page.evaluate(_PLAYED, ["audio", _SOUND_PACKETS])
        energy = (
            "async () => (await viewer().getStats()).values().find((e) => e.kind === 'audio' && e.totalAudioEnergy > 0)"
        )
        heard = await page.evaluate(f"until({energy})")
    finally:
        await page.context.close()
    return (
        f"second instance, captured by scrcpy: {heard['packetsReceived']} packets of Opus decoded by Chromium, "
        f"{heard['packetsLost']} lost, and not silent (Android's screenrecord has no sound)"
    )


async def touch(stack: Stack) -> str:
    page = await stack.watching.page()
    milliseconds = await page.evaluate("tap()")
    return f"a tap in the page was in its picture {milliseconds:.0f} ms later"


async def websocket(stack: Stack) -> str:
    page = await stack.watching.page()
    found = await page.evaluate(_CONVERSATION, [PHONE, stack.service.token()])
    if found["heard"] != ["pong", "offer", "ok"]:
        raise Failed(f"a ticket ({found['ticket']}) led to {found['heard']}: pong, offer and ok were expected")
    if found["again"]:
        raise Failed("a ticket opens more than one WebSocket")
    return "wss through nginx with a ticket: ping, join and keyframe-request answered; the ticket opens no second one"


async def metrics(stack: Stack) -> str:
    answer = await stack.service.ask("GET", "metrics")
    if answer.status != 200:
        raise Failed(f"GET /metrics: {answer.status}")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    missing = [name for name in _GUIDE_METRICS if not any(line.startswith((f"{name} ", f"{name}{{")) for line in lines)]
    if missing:
        raise Failed(f"/metrics lacks {', '.join(missing)}")
    return f"GET /metrics: {len(lines)} samples in {answer.milliseconds}, with the guide's {len(_GUIDE_METRICS)} names"


SECTION = Section(
    "8.3",
    "Functions",
    (
        Point("systemd's units", units),
        Point("Service starts", service_starts),
        Point("Health", health),
        Point("Health in detail", detailed_health),
        Point("WebRTC session", session),
        Point("Video plays", video),
        Point("Sound plays", sound),
        Point("Touch arrives", touch),
        Point("WebSocket", websocket),
        Point("Metrics", metrics),
    ),
)
