"""What the routes ask of the service; `media_service` fits these protocols."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from capture.input_events import InputEvent
from signaling.caller import Caller
from signaling.choices import QualityChoice
from signaling.jsep import TrickleFragment
from signaling.server_messages import StateChange

Listener = Callable[[StateChange], None]
"""Called on every change of state."""


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """What can be watched."""

    device_id: str
    """What to ask for; a phone may be asked for by its serial too."""
    model: str
    state: str
    """`online`, `offline`, `unauthorized`, `connecting` (it was not there yet) or `lost` (it was, and is not now)."""
    capture_mode: str | None
    """How its pictures are captured now; None while nobody watches."""
    reason: str
    """Why the state is what it is, and while it is watched why it is captured that way."""
    width: int | None
    height: int | None
    viewers: int
    name: str | None = None
    """What the operator calls it, or its container."""
    serial: str | None = None
    """What adb calls it; None for what is not a phone."""
    origin: str = ""
    """Why it is there: `adb`, `ADB_DEVICES`, `container redroid-1`, …"""
    audio: bool = False
    """Whether its sound is captured now."""
    screen: str | None = None
    """`shown`, `off`, `secure` or `booting`; None while nobody watches."""
    rotation: int | None = None
    """Degrees that it is turned, as Android's `Surface.ROTATION_*`; None while nobody watches or knows."""


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A session as lists show it. One that failed stays listed for a while, so that its end can be understood."""

    session_id: str
    device_id: str
    user_id: str | None
    state: str
    """`new`, `connecting`, `connected`, `failed` or `closed`."""
    reason: str
    """Why it ended; empty while it has not."""
    created_at: float
    """Seconds since 1970, as below."""
    last_active: float
    """When media flowed to it, or its browser was heard of, last."""


@dataclass(frozen=True, slots=True)
class ServiceStatistics:
    """How many sessions there are."""

    total_sessions: int
    """Open ones and failed ones that are still listed."""
    active_sessions: int
    """Those that media flows to."""
    connecting_sessions: int
    """Those that do not have their first media yet."""
    failed_sessions: int
    """Those still listed that failed."""
    opened_sessions: int
    """Since the service started."""
    streams: int
    """Devices that are captured now."""


class SessionHandle(Protocol):
    """One viewer's session as signaling sees it."""

    @property
    def session_id(self) -> str: ...

    @property
    def device_id(self) -> str: ...

    @property
    def user_id(self) -> str | None:
        """Whose it is; None where nobody has to have a token and none was named."""
        ...

    @property
    def remote_username_fragment(self) -> str | None:
        """The browser's ICE username fragment; None before its description is known. Another one means a restart."""
        ...

    @property
    def state(self) -> str:
        """`new`, `connecting`, `connected`, `failed` or `closed`."""
        ...

    @property
    def etag(self) -> str:
        """Names the ICE session; changes with every ICE restart (RFC 9725 section 4.3)."""
        ...

    def accept_answer(self, sdp: str) -> None:
        """Take the browser's answer to our offer. Raises `MalformedSdp`, `NoCommonCodec` or `Conflict`."""
        ...

    def add_candidates(self, fragment: TrickleFragment) -> None:
        """Take trickled candidates (RFC 8840); unusable ones are ignored. Raises `TooMany` for messages without end."""
        ...

    def restart_ice(self, fragment: TrickleFragment) -> TrickleFragment:
        """Restart ICE with the browser's new credentials; ours, in the returned fragment, are new too.

        RFC 8445 section 9. Raises `Conflict` where the session cannot do that now, and `TooMany`.
        """
        ...

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` how device and stream are now, and every change of state that concerns the session.

        Returns what ends it.
        """
        ...

    async def inject(self, event: InputEvent) -> float:
        """Inject an input event. Returns the monotonic inject time.

        Raises a `CaptureError` when it cannot be, and `Forbidden` where the session's caller may only watch.
        """
        ...

    def request_keyframe(self) -> None:
        """Ask for a keyframe, rate-limited as a PLI is."""
        ...

    def choose_sound(self, is_wanted: bool) -> None:
        """Send the device's sound, or not. Without sound there is nothing to choose, and nothing is raised."""
        ...

    def choose_quality(self, choice: QualityChoice) -> None:
        """Show that level, or the best that the path carries.

        Raises `Conflict` with the code `quality_unavailable` when there is no such level now, and `already_connected`
        when a least or first bit rate comes after the media began to flow; the old choice stays.
        """
        ...

    def statistics(self) -> dict[str, float | int | str | None]:
        """The server's numbers for this viewer, named as in webrtc-stats."""
        ...

    async def aclose(self, reason: str) -> None:
        """End the session and free everything it held. Idempotent."""
        ...


class Service(Protocol):
    """The service as the routes see it. Nothing is told or done that the `Caller` may not."""

    async def answer(self, device_id: str, offer_sdp: str, caller: Caller) -> tuple[SessionHandle, str]:
        """Open a session for a browser's offer; returns it with our SDP answer.

        Raises `NotFound` for an unknown device, `Forbidden`, `MalformedSdp`, `NoCommonCodec`, `DeviceUnavailable`,
        `TooMany` or `Full`.
        """
        ...

    async def offer(self, device_id: str, caller: Caller) -> tuple[SessionHandle, str]:
        """Open a session that starts with our offer; returns it with the SDP. Raises as `answer` does."""
        ...

    def session(self, session_id: str, caller: Caller) -> SessionHandle:
        """The open session of that id, to be acted on.

        Raises `NotFound`, for somebody else's too, and `Forbidden` where its viewer may do more than the caller.
        """
        ...

    def sessions(self, caller: Caller) -> Sequence[SessionDescription]:
        """The caller's sessions, of an admin everybody's; failed ones that are still listed included."""
        ...

    def describe_session(self, session_id: str, caller: Caller) -> SessionDescription:
        """One of these. Raises `NotFound`."""
        ...

    def explain(self, session_id: str, caller: Caller) -> Mapping[str, Any]:
        """Why it looks as it does, or did when it failed, ready to become JSON: see `media_service.explanation`.

        Raises `NotFound`.
        """
        ...

    async def end(self, session_id: str, caller: Caller) -> None:
        """End a session, and free everything it held; or forget one that failed. Raises `NotFound` or `Forbidden`."""
        ...

    def statistics(self) -> ServiceStatistics:
        """How many sessions there are."""
        ...

    async def devices(self, caller: Caller) -> Sequence[DeviceDescription]:
        """Every device that the caller may watch."""
        ...

    async def device(self, device_id: str, caller: Caller) -> DeviceDescription:
        """The device of that id, serial or name. Raises `NotFound`, also where the caller may not know of it."""
        ...

    def ice_servers(self, caller: Caller) -> Sequence[dict[str, str | list[str]]]:
        """What a browser should put into `RTCConfiguration.iceServers`; TURN credentials are the caller's own."""
        ...
