"""Tickets for WebSockets: a browser cannot set a WebSocket's headers, and an address is no place for a token.

`POST /api/media/tickets`, with the token, gives one that opens one WebSocket within half a minute (`?ticket=…`).
"""

import secrets
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from aiohttp import web

from signaling.caller import Caller
from signaling.errors import Full, Unauthorized
from signaling.guard import caller_of

PATH = "/api/media/tickets"

LIFETIME = 30
"""Seconds in which a ticket is used, or not at all."""

MAX_TICKETS = 10_000
"""Tickets that wait to be used; who wants one more is told to come again."""

MAX_TICKETS_OF_ONE = 50
"""Those of one caller; for one more the oldest of these is void, so that no one crowds out others."""


@dataclass(frozen=True, slots=True)
class _Issued:
    caller: Caller
    ends_at: float

    @property
    def holder(self) -> str:
        """Who is counted: the user, or the address where nobody has to have a token."""
        return self.caller.user_id or self.caller.address


class Tickets:
    """The tickets that may still be used. `clock` gives seconds since 1970, as the ends of tokens do."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # By their digests: how long a look-up takes tells nothing about a ticket itself.
        self._issued: OrderedDict[bytes, _Issued] = OrderedDict()
        self._of_holder: defaultdict[str, OrderedDict[bytes, None]] = defaultdict(OrderedDict)

    def issue(self, caller: Caller) -> tuple[str, int]:
        """A ticket that says who `caller` is, and the seconds it can be used in. Raises `Full`."""
        now = self._clock()
        self._forget_ended(now)
        ends_at = now + LIFETIME if caller.expires_at is None else min(now + LIFETIME, caller.expires_at)
        issued = _Issued(caller, ends_at)
        own = self._of_holder.get(issued.holder, ())
        if len(own) >= MAX_TICKETS_OF_ONE:
            self._take(next(iter(own)))
        if len(self._issued) >= MAX_TICKETS:
            raise Full("too many tickets wait to be used", code="too_many_tickets", retry_after=LIFETIME)
        ticket = secrets.token_urlsafe(32)
        self._issued[_digest(ticket)] = issued
        self._of_holder[issued.holder][_digest(ticket)] = None
        return ticket, max(0, int(ends_at - now))

    def redeem(self, ticket: str) -> Caller:
        """Who was given the ticket, which is void from now on. Raises `Unauthorized`."""
        issued = self._take(_digest(ticket))
        if issued is None or self._clock() >= issued.ends_at:
            detail = f"the ticket is unknown, used, or older than {LIFETIME} s: POST {PATH} gives another one"
            raise Unauthorized(detail, code="ticket_invalid")
        return issued.caller

    def __len__(self) -> int:
        """Tickets that wait to be used."""
        return len(self._issued)

    def _forget_ended(self, now: float) -> None:
        # In the order in which they were issued; one that ends before its turn, with its token, is found later.
        while self._issued and next(iter(self._issued.values())).ends_at <= now:
            self._take(next(iter(self._issued)))

    def _take(self, digest: bytes) -> _Issued | None:
        issued = self._issued.pop(digest, None)
        if issued is not None:
            own = self._of_holder[issued.holder]
            del own[digest]
            if not own:
                del self._of_holder[issued.holder]
        return issued


def add_routes(app: web.Application, tickets: Tickets) -> None:
    """Add the route that gives `tickets`."""

    async def give(request: web.Request) -> web.Response:
        ticket, seconds = tickets.issue(caller_of(request))
        body = {"ticket": ticket, "expiresIn": seconds}
        return web.json_response(body, status=201, headers={"Cache-Control": "no-store"})

    app.router.add_post(PATH, give)


def _digest(ticket: str) -> bytes:
    return sha256(ticket.encode(errors="replace")).digest()
