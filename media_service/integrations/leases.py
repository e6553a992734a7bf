"""Which instance has which device, as Redis keeps it: the keys, the scripts, and what they answer. No I/O.

A lease is `<instance id> <fencing token>` and lapses by itself. Every one that is taken has a token above all that were
given out before, even when Redis has lost its memory meanwhile: it is at least Redis' clock in microseconds.
"""

from dataclasses import dataclass

PREFIX = "media:"
FENCING_KEY = f"{PREFIX}fencing"
FENCING_TTL = 30 * 24 * 3600
"""Seconds; beyond, the clock alone keeps tokens ascending."""

TAKE = """
local held = redis.call('GET', KEYS[1])
if held and held == ARGV[1] .. ' ' .. ARGV[2] then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return held
end
if held and string.sub(held, 1, #ARGV[1] + 1) ~= ARGV[1] .. ' ' then
  return held
end
local now = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
local token = string.format('%.0f', math.max(last + 1, now[1] * 1000000 + now[2]))
redis.call('SET', KEYS[2], token, 'EX', ARGV[4])
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. token, 'PX', ARGV[3])
return ARGV[1] .. ' ' .. token
"""
"""Renew the lease KEYS[1] of the instance ARGV[1] with the token ARGV[2] for ARGV[3] ms, or take it if nobody has it.

Without the token (empty) an instance takes over what it had itself, as after a restart. Gives the lease as it then is.
"""

RELEASE = """
local held = redis.call('GET', KEYS[1])
local ours = ARGV[1] .. ' '
if held and (held == ours .. ARGV[2] or (ARGV[2] == '' and string.sub(held, 1, #ours) == ours)) then
  return redis.call('DEL', KEYS[1])
end
return 0
"""
"""Delete the lease KEYS[1] if the instance ARGV[1] has it with the token ARGV[2], or, where that is empty, with any."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who has a device."""

    instance_id: str
    token: int
    """0 in what somebody else wrote."""


def lease_key(device_id: str) -> str:
    """Where the device's lease is."""
    return f"{PREFIX}device:{device_id}"


def parse_lease(value: bytes) -> Lease:
    """Read a lease; whatever is there, somebody has the device."""
    instance_id, _, token = value.decode(errors="replace").rpartition(" ")
    if instance_id and token.isascii() and token.isdigit() and len(token) <= 20:
        return Lease(instance_id, int(token))
    return Lease(value.decode(errors="replace")[:200], 0)
