"""`media-service doctor`: what this machine has of what the service can use, and what to do about the rest."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from media_service.diagnosis import (
    access,
    encoding,
    ice_servers,
    machine,
    phones,
    ports,
    programs,
    udp,
    versions,
)
from media_service.diagnosis.finding import Check, Diagnosis, Finding, warning
from media_service.redaction import Redaction
from media_service.settings import Settings

CHECKS: Mapping[str, Check] = {
    versions.AREA: versions.check,
    phones.AREA: phones.check,
    encoding.AREA: encoding.check,
    ports.AREA: ports.check,
    udp.AREA: udp.check,
    ice_servers.AREA: ice_servers.check,
    programs.AREA: programs.check,
    machine.AREA: machine.check,
    access.AREA: access.check,
}
"""Every area, in the order in which they are shown."""

LONGEST_CHECK = 30.0
"""Seconds after which an area is given up."""


async def diagnose(
    settings: Settings, notices: Iterable[str] = (), *, checks: Mapping[str, Check] = CHECKS
) -> Diagnosis:
    """Try everything, at once. Takes a few seconds and raises nothing.

    `notices` are what was noticed when the settings were read.
    """
    noticed = [warning("Settings", notice, "correct or remove it") for notice in notices]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_checked(area, check, settings)) for area, check in checks.items()]
    found = [finding for task in tasks for finding in task.result()]
    return Diagnosis((*noticed, *found), Redaction.of(settings))


async def _checked(area: str, check: Check, settings: Settings) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(LONGEST_CHECK):
            return await check(settings)
    except TimeoutError:
        return [warning(area, f"it took longer than {LONGEST_CHECK:g} s to look at this", "look again")]
    except Exception as error:
        # Whatever the machine is like: a bug in one area must not hide what was found in the others.
        told = f"this could not be looked at: {type(error).__name__}: {error}"
        return [warning(area, told, "report it with this line: it is a bug of doctor's")]
