"""The sessions that one WebSocket speaks for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from signaling.errors import Conflict, NotFound
from signaling.service import SessionHandle


@dataclass(slots=True)
class _Held:
    session: SessionHandle
    called: str
    """What the browser calls the device, which has several names."""
    ends_with_socket: bool
    forget: list[Callable[[], object]]


class SocketSessions:
    """Knows which session a message is for, and which of them end with the socket."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._held

    def __iter__(self) -> Iterator[SessionHandle]:
        return iter([held.session for held in self._held.values()])

    @property
    def ending(self) -> list[SessionHandle]:
        """Those that were opened through the socket, and end with it."""
        return [held.session for held in self._held.values() if held.ends_with_socket]

    def add(self, session: SessionHandle, *, called: str = "", ends_with_socket: bool) -> None:
        """Speak for `session`, whose device the browser calls `called`, where it named it."""
        self._held[session.session_id] = _Held(session, called, ends_with_socket, [])

    def of_device(self, device_id: str) -> list[SessionHandle]:
        """Those of the device, by its id or by what the browser called it when it opened them."""
        return [each.session for each in self._held.values() if device_id in (each.session.device_id, each.called)]

    def forget(self, session_id: str) -> None:
        """Speak for it no more, and do what `when_forgotten` was given."""
        held = self._held.pop(session_id, None)
        if held is not None:
            for do in held.forget:
                do()

    def when_forgotten(self, session_id: str, do: Callable[[], object]) -> None:
        """Have `do` called when the session is forgotten; at once where it is already."""
        held = self._held.get(session_id)
        if held is None:
            do()
        else:
            held.forget.append(do)

    def find(self, session_id: str | None, device_id: str | None = None) -> SessionHandle:
        """The session that a message is for: the named one, or the only one, of that device where it says so.

        Raises `NotFound` or `Conflict`.
        """
        if session_id is not None:
            held = self._held.get(session_id)
            if held is None:
                raise NotFound(f"this connection has no session {session_id!r}", code="session_not_found")
            return held.session
        sessions = list(self) if device_id is None else self.of_device(device_id)
        if len(sessions) != 1:
            whose = "this connection" if device_id is None else f"this connection with {device_id!r}"
            raise Conflict(
                f"{whose} has {len(sessions)} sessions: "
                + ("sessionId must say which is meant" if sessions else "join or offer comes first"),
                code="session_ambiguous" if sessions else "no_session",
            )
        return sessions[0]
