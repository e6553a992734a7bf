"""The viewers of one process, in groups, and what can be asked of them."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import aiohttp
import av

from benchmarks.clip import decode
from benchmarks.depacketizer import slices
from benchmarks.dtls import Identity
from benchmarks.errors import BenchmarkError
from benchmarks.viewer import PLAYER, JoinTimes, Viewer, ViewerKind


@dataclass(frozen=True, slots=True)
class Join:
    """Join viewers, one per URL, spread over a time; each must get a whole keyframe."""

    group: str
    urls: tuple[str, ...]
    over: float
    """Seconds between the first join and the last; they do not wait for each other."""
    timeout: float
    """Seconds for each."""
    kind: ViewerKind = PLAYER
    witnesses: int = 0
    """How many of them decrypt and keep everything."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a window."""

    group: str
    goes_on: bool = False
    """Whether what is timed in it is compared with the window before."""


@dataclass(frozen=True, slots=True)
class End:
    """End the group's window."""

    group: str


@dataclass(frozen=True, slots=True)
class Inspect:
    """Look at what the group's witnesses saw since they joined; takes a while."""

    group: str


@dataclass(frozen=True, slots=True)
class Leave:
    """DELETE the sessions of the group."""

    group: str


@dataclass(frozen=True, slots=True)
class Cycle:
    """Join and leave again, over and over."""

    url: str
    cycles: int
    at_once: int
    """How many viewers do so side by side."""
    vanish_every: int
    """Every so many leaves is one without DELETE; 0 for none."""
    timeout: float
    kind: ViewerKind = PLAYER


@dataclass(frozen=True, slots=True)
class Totals:
    """What a group received since its viewers joined; a window is the difference of two."""

    packets: int
    octets: int
    pictures: int
    lost: int
    duplicates: int
    retransmitted: int
    verified: int
    refused: int
    depacketizing_errors: int
    cpu_seconds: float
    """What the receivers' process used."""
    moment: float


@dataclass(frozen=True, slots=True)
class Window:
    """What a group saw between `Begin` and `End`."""

    begin: Totals
    end: Totals
    lateness: tuple[float, ...]
    """See `Reception.lateness`, of every viewer and picture, ascending."""
    fewest_pictures: int
    """That one of the viewers got."""
    srtp_profiles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the witnesses of a group saw."""

    witnessed: tuple[tuple[bytes, ...], ...]
    """For each witness a digest of the slices of each picture that arrived whole."""
    decoded: int
    """How many pictures a decoder made of them."""


Command = Join | Begin | End | Inspect | Leave | Cycle


def digest(nal_units: tuple[bytes, ...]) -> bytes:
    """What stands for a picture: a digest of its slices, which passthrough may never touch."""
    return hashlib.sha1(b"".join(slices(nal_units)), usedforsecurity=False).digest()


class Audience:
    """Does what is asked, one thing at a time."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client
        self._identity = Identity()
        self._groups: dict[str, list[Viewer]] = {}
        self._begun: dict[str, Totals] = {}

    async def obey(self, command: Command) -> object:
        """Do it and return what the command asks for. Raises `BenchmarkError`, alone or in a group."""
        match command:
            case Join():
                return await self._join(command)
            case Begin(group, goes_on):
                return self._begin(group, goes_on=goes_on)
            case End(group):
                return self._end(group)
            case Inspect(group):
                return self._inspect(group)
            case Leave(group):
                await self._leave(group)
                return None
            case Cycle():
                return await self._cycle(command)

    async def _join(self, command: Join) -> tuple[JoinTimes, ...]:
        viewers = self._groups.setdefault(command.group, [])
        step = command.over / max(1, len(command.urls) - 1)

        async def one(number: int, url: str) -> JoinTimes:
            await asyncio.sleep(number * step)
            viewer = Viewer(self._identity, replace(command.kind, witness=number < command.witnesses))
            times = await viewer.join(self._client, url, command.timeout)
            viewers.append(viewer)
            return times

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number, url)) for number, url in enumerate(command.urls)]
        return tuple(task.result() for task in tasks)

    def _begin(self, group: str, *, goes_on: bool) -> Totals:
        for viewer in self._groups[group]:
            viewer.reception.begin(goes_on=goes_on)
        self._begun[group] = _totals(self._groups[group])
        return self._begun[group]

    def _end(self, group: str) -> Window:
        viewers = self._groups[group]
        totals = _totals(viewers)
        lateness = [viewer.reception.lateness() for viewer in viewers]
        return Window(
            begin=self._begun[group],
            end=totals,
            lateness=tuple(sorted(late for each in lateness for late in each)),
            fewest_pictures=min(map(len, lateness)),
            srtp_profiles=tuple(sorted({viewer.srtp_profile for viewer in viewers})),
        )

    def _inspect(self, group: str) -> Inspection:
        witnesses = [viewer for viewer in self._groups[group] if viewer.kind.witness]
        try:
            decoded = sum(decode(witness.witnessed) for witness in witnesses)
        except av.FFmpegError as error:
            raise BenchmarkError(f"what a viewer received cannot be decoded: {error}") from error
        return Inspection(tuple(tuple(map(digest, witness.witnessed)) for witness in witnesses), decoded)

    async def _leave(self, group: str) -> None:
        async with asyncio.TaskGroup() as tasks:
            for viewer in self._groups.pop(group, []):
                tasks.create_task(viewer.leave(self._client))

    async def _cycle(self, command: Cycle) -> tuple[JoinTimes, ...]:
        numbers = iter(range(1, command.cycles + 1))
        times: list[JoinTimes] = []

        async def one_after_another() -> None:
            for number in numbers:
                viewer = Viewer(self._identity, command.kind)
                times.append(await viewer.join(self._client, command.url, command.timeout))
                if command.vanish_every and number % command.vanish_every == 0:
                    viewer.vanish()
                else:
                    await viewer.leave(self._client)

        async with asyncio.TaskGroup() as group:
            for _ in range(command.at_once):
                group.create_task(one_after_another())
        return tuple(times)


def _totals(viewers: Sequence[Viewer]) -> Totals:
    receptions = [viewer.reception for viewer in viewers]
    return Totals(
        packets=sum(reception.packets for reception in receptions),
        octets=sum(reception.octets for reception in receptions),
        pictures=sum(reception.pictures for reception in receptions),
        lost=sum(reception.lost for reception in receptions),
        duplicates=sum(reception.duplicates for reception in receptions),
        retransmitted=sum(viewer.retransmitted for viewer in viewers),
        verified=sum(viewer.verified for viewer in viewers),
        refused=sum(viewer.refused for viewer in viewers),
        depacketizing_errors=sum(viewer.depacketizing_errors for viewer in viewers),
        cpu_seconds=time.process_time(),
        moment=time.monotonic(),
    )
