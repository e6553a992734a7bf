"""Our sessions and which devices are ours, written down in Redis for other instances."""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from media_service.dependency import DependencyState
from media_service.integrations.instance import Instance
from media_service.integrations.known_state import KnownState
from media_service.integrations.leases import (
    FENCING_KEY,
    FENCING_TTL,
    PREFIX,
    RELEASE,
    TAKE,
    Lease,
    lease_key,
    parse_lease,
)
from media_service.integrations.reconnection import heed_cancellation, keep_connected
from media_service.integrations.redis_address import RedisAddress
from media_service.session_record import SessionRecord
from signaling.errors import DeviceUnavailable
from signaling.rfc3339 import milliseconds

LEASE_TTL = 15.0
"""Seconds after which a device, and an instance, of a process that died is free."""
SESSION_TTL = 30.0
AWAY = "redis_away"
FORGOTTEN = "ended_too_many"

_PATIENCE = 1.5
"""Seconds that Redis has for one answer."""
_PATIENCE_OF_A_JOIN = 0.05
_LOOK_INTERVAL = 1.0
_AT_ONCE = 50
"""Commands that are sent together: building more of them would hold up pictures."""
_LONGEST_MEMORY = 10_000
"""Ended sessions, and released devices, that are remembered while Redis is away; the others' keys lapse."""

_TROUBLES = (RedisError, OSError)

_log = structlog.get_logger(__name__)

_Command = tuple[object, ...]


class RedisRegistry:
    """Keeps `media:session:*`, `media:instance:*` and `media:device:*`; fits `SessionObserver` and `Ownership`.

    What is to be there is known here, so that Redis can be away, or come back empty, at any time: it is written again.
    Nobody waits for it meanwhile, and devices are taken for ours.
    """

    def __init__(
        self,
        redis: RedisAddress,
        instance: Instance,
        *,
        lease_ttl: float = LEASE_TTL,
        session_ttl: float = SESSION_TTL,
    ) -> None:
        self.name = "redis"
        self.drops: Counter[str] = Counter()
        """What was not written when it happened, by reason."""
        self.conflicts = 0
        """How often a device that was captured here turned out to be another instance's."""
        self.records: Callable[[], Iterable[SessionRecord]] = tuple
        """Gives the sessions as they are now, which is asked before they are written again."""
        self._address = redis
        self._instance = instance
        self._lease_ttl, self._session_ttl = lease_ttl, session_ttl
        self._known = KnownState(self.name)
        self._client: Redis | None = None
        self._is_doubted = False
        self._sessions: dict[str, SessionRecord] = {}
        self._unwritten: dict[str, None] = {}
        self._ended: dict[str, None] = {}
        self._tokens: dict[str, int] = {}
        """Of devices that are ours; 0 where that is not confirmed."""
        self._elsewhere: set[str] = set()
        self._released: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._is_closing = False
        self._has_left = asyncio.Event()

    @property
    def state(self) -> DependencyState:
        return self._known.state

    def token(self, device_id: str) -> int | None:
        """The fencing token of a device that is ours for certain."""
        return self._tokens.get(device_id) or None

    def session_opened(self, record: SessionRecord) -> None:
        """Have it written."""
        self._sessions[record.session_id] = record
        self._unwritten[record.session_id] = None
        self._touched()

    def session_ended(self, record: SessionRecord) -> None:
        """Have it deleted."""
        self._sessions.pop(record.session_id, None)
        self._unwritten.pop(record.session_id, None)
        self._ended[record.session_id] = None
        self._forget_oldest(self._ended)
        self._touched()

    async def hold(self, device_id: str) -> None:
        """Make the device ours until it is released; what is ours already stays so.

        Soon returns: when Redis is away, or does not answer at once, the device is ours for the time being. Raises
        `DeviceUnavailable` with the code `device_elsewhere` when another instance has it.
        """
        if device_id in self._tokens:
            return
        lease = None
        if self._client is None or self._is_doubted:
            self.drops[AWAY] += 1
        else:
            try:
                async with asyncio.timeout(_PATIENCE_OF_A_JOIN):
                    (value,) = await self._ask(self._client, [self._take(device_id)])
                lease = parse_lease(value)
                heed_cancellation()
            except _TROUBLES:
                self.drops[AWAY] += 1
                self._is_doubted = True
                self._changed.set()
            except asyncio.CancelledError:
                self._let_go(device_id, 0)
                raise
        if lease is not None and lease.instance_id != self._instance.instance_id:
            raise DeviceUnavailable(
                f"device {device_id[:100]!r} is captured by the instance {lease.instance_id!r}; ask that one",
                code="device_elsewhere",
                retry_after=math.ceil(self._lease_ttl),
            )
        # Of two that ask at the same time the later token counts.
        self._tokens[device_id] = max(self._tokens.get(device_id, 0), lease.token if lease is not None else 0)
        self._released.pop(device_id, None)

    def release(self, device_id: str) -> None:
        """Let others have the device. Neither waits nor raises."""
        token = self._tokens.pop(device_id, None)
        self._elsewhere.discard(device_id)
        if token is not None:
            self._let_go(device_id, token)

    @property
    def counts(self) -> Mapping[str, int]:
        return {"conflict": self.conflicts}

    async def run(self) -> None:
        """Keep everything written. Never ends."""
        await keep_connected(self._stay_connected, self._failed, _TROUBLES)

    async def aclose(self) -> None:
        """Delete what is ours, if Redis can be asked; soon returns in any case. `run` must go on meanwhile."""
        self._is_closing = True
        self._changed.set()
        if self._client is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._has_left.wait()

    def _touched(self) -> None:
        if not self._known.is_healthy:
            self.drops[AWAY] += 1
        self._changed.set()

    def _let_go(self, device_id: str, token: int) -> None:
        self._released[device_id] = token
        self._forget_oldest(self._released)
        self._changed.set()

    def _forget_oldest(self, remembered: dict[str, Any]) -> None:
        if len(remembered) > _LONGEST_MEMORY:
            del remembered[next(iter(remembered))]
            self.drops[FORGOTTEN] += 1

    # What runs all the time ----------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        client = self._address.client(self._instance.instance_id, _PATIENCE)
        loop = asyncio.get_running_loop()
        leases_due = sessions_due = loop.time()
        try:
            while not self._is_closing:
                self._changed.clear()
                now = loop.time()
                await self._ask(client, [self._introduction()])
                if now >= leases_due:
                    await self._renew_leases(client)
                    leases_due = now + self._lease_ttl / 3
                if now >= sessions_due:
                    self._look_at_sessions()
                    sessions_due = now + self._session_ttl / 3
                await self._write(client)
                heed_cancellation()
                self._client, self._is_doubted = client, False
                self._known.well()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_INTERVAL):
                        await self._changed.wait()
            await self._leave(client)
            self._has_left.set()
            await asyncio.Event().wait()
        except _TROUBLES as error:
            if not self._known.is_healthy:
                raise
            self._failed(error)
        finally:
            self._client = None
            await client.aclose()

    def _introduction(self) -> _Command:
        about = {"address": self._instance.address, "sessions": len(self._sessions)}
        key = f"{PREFIX}instance:{self._instance.instance_id}"
        return ("SET", key, json.dumps(about), "PX", _milliseconds(self._lease_ttl))

    def _look_at_sessions(self) -> None:
        """All of them are to be written, as they are now."""
        self._sessions.update({each.session_id: each for each in self.records() if each.session_id in self._sessions})
        self._unwritten.update(dict.fromkeys(self._sessions))

    async def _renew_leases(self, client: Redis) -> None:
        device_ids = list(self._tokens)
        leases = await self._ask(client, [self._take(device_id) for device_id in device_ids])
        for device_id, lease in zip(device_ids, map(parse_lease, leases), strict=True):
            if device_id in self._tokens:
                self._noted(device_id, lease)

    def _noted(self, device_id: str, lease: Lease) -> None:
        """Note who has a device that we capture."""
        if lease.instance_id == self._instance.instance_id:
            self._tokens[device_id] = max(self._tokens[device_id], lease.token)
            self._elsewhere.discard(device_id)
            return
        self._tokens[device_id] = 0
        if device_id not in self._elsewhere:
            self._elsewhere.add(device_id)
            self.conflicts += 1
            _log.warning("a device is captured by another instance too", device=device_id, instance=lease.instance_id)

    async def _write(self, client: Redis) -> None:
        """What has changed, in the order: released, ended, new."""
        released = dict(self._released)
        await self._ask(client, [self._release(device_id, token) for device_id, token in released.items()])
        for device_id, token in released.items():
            if self._released.get(device_id) == token:
                del self._released[device_id]
        ended = list(self._ended)
        await self._ask(client, [("DEL", _session_key(session_id)) for session_id in ended])
        for session_id in ended:
            del self._ended[session_id]
        unwritten = list(self._unwritten)
        await self._ask(client, [self._described(self._sessions[session_id]) for session_id in unwritten])
        for session_id in unwritten:
            self._unwritten.pop(session_id, None)

    async def _leave(self, client: Redis) -> None:
        for device_id in list(self._tokens):
            self.release(device_id)
        for session_id in list(self._sessions):
            self._ended[session_id] = None
        self._sessions.clear()
        self._unwritten.clear()
        await self._write(client)
        await self._ask(client, [("DEL", f"{PREFIX}instance:{self._instance.instance_id}")])

    async def _ask(self, client: Redis, commands: Sequence[_Command]) -> list[Any]:
        answers: list[Any] = []
        rest = iter(commands)
        while batch := list(islice(rest, _AT_ONCE)):
            async with asyncio.timeout(_PATIENCE), client.pipeline(transaction=False) as pipeline:
                for command in batch:
                    pipeline.execute_command(*command)
                answers += await pipeline.execute()
        return answers

    def _take(self, device_id: str) -> _Command:
        token = self._tokens.get(device_id)
        arguments = (self._instance.instance_id, token or "", _milliseconds(self._lease_ttl), FENCING_TTL)
        return ("EVAL", TAKE, 2, lease_key(device_id), FENCING_KEY, *arguments)

    def _release(self, device_id: str, token: int) -> _Command:
        return ("EVAL", RELEASE, 1, lease_key(device_id), self._instance.instance_id, token or "")

    def _described(self, record: SessionRecord) -> _Command:
        about = {
            "session_id": record.session_id,
            "device_id": record.device_id,
            "user_id": record.user_id,
            "state": record.state,
            "instance": self._instance.instance_id,
            "created_at": milliseconds(record.created_at),
            "last_active": milliseconds(record.last_active),
        }
        return ("SET", _session_key(record.session_id), json.dumps(about), "PX", _milliseconds(self._session_ttl))

    def _failed(self, error: BaseException) -> None:
        self._known.ill(self._address.reason(error, _PATIENCE))


def _session_key(session_id: str) -> str:
    return f"{PREFIX}session:{session_id}"


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
