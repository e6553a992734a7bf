"""Who may open another session: limits for the process, for each user and for each device. Pure: time is passed in."""

from collections import Counter, OrderedDict
from dataclasses import dataclass

from signaling.allowance import Allowance
from signaling.errors import Full, SignalingError, TooMany

_MINUTE = 60.0
_REMEMBERED_USERS = 10_000
_FULL_RETRY = 10
_OWN_RETRY = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """How many there may be."""

    sessions: int = 1000
    """Of the process, at once."""
    sessions_per_user: int = 100
    sessions_per_device: int = 500
    joins_per_minute: int = 600
    """Sessions that one user may open; in one burst as many."""


class Place:
    """One session's place; it counts until it is given back."""

    __slots__ = ("_admission", "device_id", "user_id")

    def __init__(self, admission: "Admission", user_id: str | None, device_id: str) -> None:
        self.user_id = user_id
        self.device_id = device_id
        self._admission: Admission | None = admission

    def give_back(self) -> None:
        """Let somebody else have it. Idempotent."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission._left(self)


class Admission:
    """Gives out places. Who is nobody in particular is only held to the limits of the process and the device."""

    def __init__(self, limits: Limits) -> None:
        self.refused: Counter[str] = Counter()
        """Sessions that were not opened, by the code of the refusal."""
        self._limits = limits
        self._taken = 0
        self._by_user: Counter[str] = Counter()
        self._by_device: Counter[str] = Counter()
        self._allowances: OrderedDict[str, Allowance] = OrderedDict()

    def take(self, user_id: str | None, device_id: str, now: float) -> Place:
        """A place for `user_id` on the device.

        Raises `Full` where nobody else would get one either, and `TooMany` where another user would.
        """
        try:
            self._check(user_id, device_id, now)
        except SignalingError as refusal:
            self.refused[refusal.code] += 1
            raise
        self._taken += 1
        self._by_device[device_id] += 1
        if user_id is not None:
            self._by_user[user_id] += 1
        return Place(self, user_id, device_id)

    def _check(self, user_id: str | None, device_id: str, now: float) -> None:
        limits = self._limits
        if self._taken >= limits.sessions:
            raise Full(f"{limits.sessions} sessions are open, which is the limit", retry_after=_FULL_RETRY)
        if self._by_device[device_id] >= limits.sessions_per_device:
            raise Full(
                f"{device_id!r} has {limits.sessions_per_device} viewers, which is the limit",
                code="too_many_viewers_of_device",
                retry_after=_FULL_RETRY,
            )
        if user_id is None:
            return
        if self._by_user[user_id] >= limits.sessions_per_user:
            raise TooMany(
                f"this user has {limits.sessions_per_user} sessions, which is the limit",
                code="too_many_sessions_of_user",
                retry_after=_OWN_RETRY,
            )
        self._allow(user_id, now)

    def _allow(self, user_id: str, now: float) -> None:
        """Count one more join of the user, or refuse it."""
        most = self._limits.joins_per_minute
        allowance = self._allowances.pop(user_id, None) or Allowance(most / _MINUTE, most)
        self._allowances[user_id] = allowance
        if len(self._allowances) > _REMEMBERED_USERS:
            # Who was not heard of for longest has the fullest allowance: forgetting it gives nothing away.
            self._allowances.popitem(last=False)
        if not allowance.take(now):
            raise TooMany(
                f"this user opened {most} sessions within a minute, which is the limit",
                code="too_many_joins",
                retry_after=max(1, round(allowance.wait + 0.5)),
            )

    def _left(self, place: Place) -> None:
        self._taken -= 1
        _take_one(self._by_device, place.device_id)
        if place.user_id is not None:
            _take_one(self._by_user, place.user_id)


def _take_one(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
