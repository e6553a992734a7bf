"""One viewer's ICE agent: always the controlled side, on sockets that all viewers share (RFC 8445).

It answers checks, takes the pair that the browser nominates and follows it when it changes. Its own checks open a NAT
in front of us, for which they begin when the browser's have not come through by then, and measure the path. Consent to
send (RFC 7675) is a valid check within the last 15 seconds.
"""

import secrets
from collections.abc import Callable, Iterable

from media_service.rtc import stun
from media_service.rtc.path import Path
from signaling.jsep import Candidate, IceCredentials

CONSENT_TIMEOUT = 15.0
_LARGEST_CANDIDATE_COUNT = 16
# Type preference of a peer-reflexive candidate, as a check carries it (RFC 8445 section 7.1.1).
_PEER_REFLEXIVE_PRIORITY = (110 << 24) + (65535 << 8) + 255


def new_credentials() -> IceCredentials:
    """Fresh credentials: 48 bits of ufrag (a session's key on the shared port) and 144 bits of password."""
    return IceCredentials(secrets.token_urlsafe(6).replace("-", "+").replace("_", "/"),
                          secrets.token_urlsafe(18).replace("-", "+").replace("_", "/"))  # fmt: skip


class IceAgent:
    """Which path leads to the viewer, and whether it still wants to be sent to."""

    def __init__(self, local: IceCredentials, now: float, path_selected: Callable[[Path], None]) -> None:
        """`path_selected` is called with the path to send on, first and after every change."""
        self.local = local
        self.remote: IceCredentials | None = None
        self.path: Path | None = None
        self.is_nominated = False
        self.path_changes = 0
        self.last_check = now
        """When the last valid check came, in seconds of the caller's clock."""
        self.round_trip: float | None = None
        """Seconds that the last answer to a check of ours took; None before the first."""
        self._path_selected = path_selected
        self._candidates: dict[tuple[str, int], Candidate] = {}
        self._tie_breaker = secrets.token_bytes(8)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The remote candidates we may check, at most 16."""
        return tuple(self._candidates.values())

    def add_candidates(self, candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
        """Learn remote candidates and return the new ones.

        Beyond the bound they are ignored, the browser's own checks find us anyway.
        """
        added: list[Candidate] = []
        for candidate in candidates:
            key = candidate.address, candidate.port
            if key not in self._candidates and len(self._candidates) < _LARGEST_CANDIDATE_COUNT:
                self._candidates[key] = candidate
                added.append(candidate)
        return tuple(added)

    def restart(self, local: IceCredentials, remote: IceCredentials) -> None:
        """New credentials on both sides; media goes on over the old path until a new one is nominated."""
        self.local, self.remote = local, remote
        self.is_nominated = False
        self._candidates.clear()

    def check_received(self, request: stun.StunMessage, path: Path, now: float) -> bool:
        """Answer a connectivity check; whether it was authentic. Anything else is not answered at all."""
        password = self.local.password.encode()
        if not request.is_authentic(password):
            return False
        if stun.ICE_CONTROLLED in request.attributes:
            path.send(stun.role_conflict(request, password))
            return True
        path.send(stun.binding_success(request, path.remote, password))
        self.last_check = now
        nominates = stun.USE_CANDIDATE in request.attributes
        if self.path is None or (nominates and path is not self.path):
            self.path_changes += self.path is not None
            self.path = path
            self._path_selected(path)
        self.is_nominated = self.is_nominated or nominates
        return True

    def check(self, transaction_id: bytes) -> bytes | None:
        """A check of our own to send to the remote candidates; None before the remote credentials are known."""
        if self.remote is None:
            return None
        username = f"{self.remote.username_fragment}:{self.local.username_fragment}"
        return stun.binding_request(
            transaction_id,
            username,
            self.remote.password.encode(),
            priority=_PEER_REFLEXIVE_PRIORITY,
            tie_breaker=self._tie_breaker,
        )

    def check_answered(self, response: stun.StunMessage, sent_at: float, now: float) -> None:
        """Take the answer to a check of ours; anything but an authentic success says nothing."""
        remote = self.remote
        is_success = response.message_type == stun.BINDING_SUCCESS
        if remote is not None and is_success and response.is_authentic(remote.password.encode()):
            self.round_trip = now - sent_at

    def has_consent(self, now: float) -> bool:
        """Whether the viewer still may be sent to (RFC 7675 section 5.1)."""
        return now - self.last_check <= CONSENT_TIMEOUT
