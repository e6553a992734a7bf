"""8.5, monitoring: what Prometheus and Grafana are given, log rotation, profiles."""

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.checklist.account import ROOT
from tests.checklist.answer import ELSEWHERE, OUTSIDE, ask
from tests.checklist.host import Host
from tests.checklist.point import Failed, NotApplicable, Point, Section
from tests.checklist.stack import PHONE, Stack
from tests.deploy.exported import exported, named

_PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
_DASHBOARD: Final = ROOT / "deploy" / "grafana" / "media-service-dashboard.json"
_PATIENCE: Final = 10.0
_PROFILE: Final = "debug/pprof/goroutine?debug=1"


async def scraping(stack: Stack) -> str:
    await _promtool("check", "config", "prometheus.yml")
    exposition = (await stack.service.ask("GET", "metrics")).body
    await _promtool("check", "metrics", given=exposition)
    return f"promtool: prometheus.yml is valid, and so are the {exposition.count(b'# TYPE')} families of /metrics"


async def alerts(stack: Stack) -> str:
    said = await _promtool("check", "rules", "alerts.yml")
    await _promtool("test", "rules", "alerts.test.yml")
    text = (_PROMETHEUS / "alerts.yml").read_text()
    expressions = re.findall(r"^ +expr: (.*(?:\n {10,}.*)*)", text, re.MULTILINE)
    missing = named(expressions) - await _exported(stack)
    if missing:
        raise Failed(f"the rules name what is not exported: {', '.join(sorted(missing))}")
    count = re.findall(r"(\d+) rules found", said)[0]
    return f"promtool: {count} rules are valid and pass their tests; every metric that they name is exported"


async def dashboard(stack: Stack) -> str:
    document = json.loads(_DASHBOARD.read_text())
    lacking = [name for name in ("title", "uid", "panels", "templating", "schemaVersion") if not document.get(name)]
    if lacking or document.get("id") is not None or "__inputs" in document:
        raise Failed(f"Grafana cannot import it as it is: it lacks {lacking}, or has an id or inputs of its own")
    panels = list(_panels(document["panels"]))
    numbers = [panel["id"] for panel in panels]
    if len(set(numbers)) != len(numbers):
        raise Failed("two panels have the same id")
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    missing = named(expressions) - await _exported(stack)
    if missing or not expressions:
        raise Failed(f"it names what is not exported: {', '.join(sorted(missing))}")
    return (
        f'"{document["title"]}": {len(panels)} panels with {len(expressions)} expressions, importable as it is; '
        "every metric is exported"
    )


def _panels(panels: Any) -> Iterator[Any]:
    for panel in panels:
        yield panel
        yield from _panels(panel.get("panels", ()))


async def _exported(stack: Stack) -> set[str]:
    return exported((await stack.service.ask("GET", "metrics")).text)


async def _promtool(*arguments: str, given: bytes | None = None) -> str:
    if shutil.which("promtool") is None:
        raise NotApplicable("no promtool: install what Debian calls prometheus")
    done = await asyncio.to_thread(
        subprocess.run,
        ["promtool", *arguments],
        cwd=_PROMETHEUS,
        input=given or b"",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=60,
    )
    said = done.stdout.decode(errors="replace")
    if done.returncode:
        raise Failed(f"promtool {' '.join(arguments)} ended with {done.returncode}: {said[-1000:]}")
    return said


async def log_rotation(stack: Stack) -> str:
    program = shutil.which("logrotate", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        raise NotApplicable("no logrotate")
    recipe = await asyncio.to_thread(_recipe, stack.host)
    state = stack.folder / "logrotate.state"
    for mode in ("--debug", "--force"):
        command = [program, mode, "--state", str(state), str(recipe)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode or "error:" in done.stderr:
            raise Failed(f"logrotate {mode} ended with {done.returncode}: {done.stderr[-1000:]}")
    aside = sorted(path.name for path in stack.host.logs.glob("app.log-*"))
    if len(aside) != 1:
        raise Failed(f"one file put aside was expected, and there are {aside}")
    new = stack.host.logs / "app.log"
    begun = await _begun_anew(stack, new)
    status = new.stat()
    if status.st_uid != stack.host.account.user_id or status.st_mode & 0o777 != 0o640:
        raise Failed(f"the new file belongs to user {status.st_uid} and has mode {status.st_mode & 0o777:o}")
    return f"logrotate put the running service's log aside as {aside[0]}; its next line ({begun}) is in a new file"


def _recipe(host: Host) -> Path:
    """The installed one, for this host's folder and account."""
    account, text = host.account, host.log_rotation.read_text()
    text = text.replace("/var/log/media-service", str(host.logs)).replace(
        "cloudphone cloudphone", f"{account.name} {account.group}"
    )
    if not account.can_become_others:
        text = re.sub(r"^ *su .*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"(create 0640) .*", r"\1", text)
    recipe = host.folder / "logrotate.conf"
    recipe.write_text(text)
    # It refuses what others may write.
    recipe.chmod(0o644)
    return recipe


async def _begun_anew(stack: Stack, path: Path) -> str:
    """What the first line of the file tells of, once something has happened."""
    token = stack.service.token()
    answer = await stack.service.ask("POST", "api/media/sessions", token=token, body={"deviceId": PHONE})
    await stack.service.ask("DELETE", f"api/media/sessions/{answer.json()['sessionId']}", token=token)
    deadline = time.monotonic() + _PATIENCE
    while not (lines := await asyncio.to_thread(_lines, path)):
        if time.monotonic() > deadline:
            raise Failed("the service does not write into the new file")
        await asyncio.sleep(0.02)
    return str(json.loads(lines[0])["event"])


def _lines(path: Path) -> list[str]:
    """The whole ones."""
    return path.read_text().split("\n")[:-1] if path.exists() else []


async def profiles(stack: Stack) -> str:
    service = stack.service
    outside = {"X-Forwarded-For": OUTSIDE}
    seen = {
        "this machine": (await service.ask("GET", _PROFILE)).status,
        "elsewhere, by a proxy": (await service.ask("GET", _PROFILE, headers=outside)).status,
        "elsewhere, an operator": (
            await service.ask("GET", _PROFILE, headers=outside, token=service.token("operator"))
        ).status,
        "elsewhere, an admin": (
            await service.ask("GET", _PROFILE, headers=outside, token=service.token("admin"))
        ).status,
        "elsewhere, by nginx": (
            await ask("GET", stack.nginx.address + _PROFILE, trusting=stack.nginx.trusting(), source=ELSEWHERE)
        ).status,
    }
    if list(seen.values()) != [200, 403, 403, 200, 403]:
        raise Failed(f"/debug/pprof/: {seen}")
    return "/debug/pprof/: " + ", ".join(f"{who} {status}" for who, status in seen.items())


SECTION = Section(
    "8.5",
    "Monitoring",
    (
        Point("Prometheus reads the metrics", scraping),
        Point("Grafana's dashboard", dashboard),
        Point("Alert rules", alerts),
        Point("Log rotation", log_rotation),
        Point("Profiles for admins only", profiles),
    ),
)
