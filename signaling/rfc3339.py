"""Moments as others are told them (RFC 3339): in UTC, from seconds since 1970. Pure."""

import math
from datetime import UTC, datetime
from functools import lru_cache


def whole_seconds(seconds: float) -> str:
    """As `2026-01-15T10:30:00Z`."""
    return f"{_second(int(seconds))}Z"


def milliseconds(seconds: float) -> str:
    """As `2026-01-15T10:30:00.250Z`."""
    fraction, whole = math.modf(seconds)
    carry, microseconds = divmod(round(fraction * 1_000_000), 1_000_000)
    return f"{_second(int(whole) + carry)}.{microseconds // 1000:03d}Z"


# Lists of sessions have hundreds of times, most of them the same second's.
@lru_cache(maxsize=2048)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
