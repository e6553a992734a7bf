"""The JSON bodies of the HTTP API, as models: what comes in is checked by them, and the OpenAPI document shows them.

Unknown fields are ignored, as older front-ends send some. The text of a field with a `format` (a description, a
candidate) is as good as a password: no error repeats it (`signaling.json_body`).
"""

from typing import Annotated, Any, Literal, Required, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, StringConstraints, Tag
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from signaling.browser_messages import MAX_CANDIDATE
from signaling.choices import MAX_ID
from signaling.rfc3339 import milliseconds
from signaling.sdp import MAX_DESCRIPTION_SIZE
from signaling.service import DeviceDescription, ServiceStatistics, SessionDescription

MAX_CANDIDATES_AT_ONCE = 256
"""Candidates of one request. A browser with many networks has some twenty."""


class Body(BaseModel):
    """A JSON object; its fields are named in camelCase."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )


Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)]
Sdp = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_DESCRIPTION_SIZE),
    Field(json_schema_extra={"format": "sdp"}),
]
CandidateText = Annotated[
    str, StringConstraints(max_length=MAX_CANDIDATE), Field(json_schema_extra={"format": "ice-candidate"})
]


def _form(value: object) -> str:
    """Which of two forms a value has; also that of a value that has neither, which is then refused as an object."""
    return "a text" if isinstance(value, str) else "an object"


class OfferDescription(Body):
    """An `RTCSessionDescription` with an offer."""

    type: Literal["offer"] = "offer"
    sdp: Sdp


class AnswerDescription(Body):
    """An `RTCSessionDescription` with an answer."""

    type: Literal["answer"] = "answer"
    sdp: Sdp


class CandidateBody(Body):
    """An `RTCIceCandidate`, as its `toJSON` gives it. Everything is bundled, so only `candidate` says something new."""

    candidate: CandidateText = ""
    """The value of an `a=candidate:` line; empty when there will be no more."""
    sdp_mid: Annotated[str, StringConstraints(max_length=MAX_ID)] | None = None
    # Named by hand: to_camel makes sdpMLineIndex out of nothing that PEP 8 would take.
    sdp_m_line_index: Annotated[int, Field(ge=0, le=65535)] | None = Field(default=None, alias="sdpMLineIndex")


GivenOffer = Annotated[
    Annotated[OfferDescription, Tag("an object")] | Annotated[Sdp, Tag("a text")], Discriminator(_form)
]
GivenAnswer = Annotated[
    Annotated[AnswerDescription, Tag("an object")] | Annotated[Sdp, Tag("a text")], Discriminator(_form)
]
GivenCandidate = (
    Annotated[
        Annotated[CandidateBody, Tag("an object")] | Annotated[CandidateText, Tag("a text")], Discriminator(_form)
    ]
    | None
)
"""Null is what `RTCPeerConnection.onicecandidate` ends with."""


def sdp_of(given: OfferDescription | AnswerDescription | str) -> str:
    """The description itself, in whichever form it was given."""
    return given if isinstance(given, str) else given.sdp


def candidate_of(given: CandidateBody | str | None) -> str:
    """The candidate itself, in whichever form it was given; empty when there will be no more."""
    if given is None:
        return ""
    return given if isinstance(given, str) else given.candidate


# What is asked.


class SessionRequest(Body):
    """Whom to show which device. With an `offer` it is answered, without one the service offers."""

    device_id: Id
    user_id: Annotated[str, StringConstraints(max_length=MAX_ID)] | None = None
    """With a token: its `sub` or nothing."""
    offer: GivenOffer | None = None


class AnswerRequest(Body):
    """The browser's answer to our offer."""

    session_id: Id
    answer: GivenAnswer


class CandidateRequest(Body):
    """A candidate of the browser."""

    session_id: Id
    candidate: GivenCandidate


class CandidatesRequest(Body):
    """Candidates of the browser."""

    session_id: Id
    candidates: Annotated[list[GivenCandidate], Field(max_length=MAX_CANDIDATES_AT_ONCE)]


class DeviceOfferRequest(Body):
    """The browser's offer, for the device in the path."""

    offer: GivenOffer


class DeviceCandidateRequest(Body):
    """A candidate of the browser, for the device in the path."""

    candidate: GivenCandidate
    session_id: Id | None = None
    """Without it, the newest session that this caller's offers opened on the device."""


# What is answered.


class IceServer(TypedDict, total=False):
    """An `RTCIceServer`."""

    urls: Required[str | list[str]]
    username: str
    credential: str


class OurOffer(Body):
    """An `RTCSessionDescription` for the browser to answer."""

    type: Literal["offer"]
    sdp: Sdp


class SessionOffered(Body):
    """A session that begins with our offer."""

    session_id: str
    offer: OurOffer
    ice_servers: list[IceServer]


class SessionAnswered(Body):
    """A session that begins with our answer."""

    id: str
    """The same as `sessionId`."""
    session_id: str
    answer: Sdp
    ice_servers: list[IceServer]


class DeviceAnswered(Body):
    """Our answer to an offer for a device."""

    answer: Sdp
    session_id: str


class Done(Body):
    """It was done."""

    status: Literal["ok"]


class CandidatesAdded(Body):
    """How many candidates could be read."""

    status: Literal["ok"]
    added: int
    total: int


class SessionBody(Body):
    """A session; one that failed stays listed for a while."""

    session_id: str
    device_id: str
    user_id: str | None
    """Null where nobody has to have a token and none was named."""
    state: str = Field(examples=["new", "connecting", "connected", "failed", "closed"])
    reason: str
    """Why it ended; empty while it has not."""
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    last_active: str = Field(json_schema_extra={"format": "date-time"})
    """When media flowed to it, or its browser was heard of, last."""

    @classmethod
    def of(cls, session: SessionDescription) -> Self:
        return cls(
            session_id=session.session_id,
            device_id=session.device_id,
            user_id=session.user_id,
            state=session.state,
            reason=session.reason,
            created_at=milliseconds(session.created_at),
            last_active=milliseconds(session.last_active),
        )


class SessionList(Body):
    """The caller's sessions; an admin sees everybody's."""

    sessions: list[SessionBody]
    total: int


class Statistics(Body):
    """How many sessions there are."""

    total_sessions: int
    """Open ones and failed ones that are still listed."""
    active_sessions: int
    """Those that media flows to."""
    connecting_sessions: int
    """Those that do not have their first media yet."""
    failed_sessions: int
    """Those still listed that failed."""
    ws_connections: int
    """WebSockets that are open."""
    opened_sessions: int
    """Since the service started."""
    streams: int
    """Devices that are captured now."""

    @classmethod
    def of(cls, statistics: ServiceStatistics, ws_connections: int) -> Self:
        return cls(
            total_sessions=statistics.total_sessions,
            active_sessions=statistics.active_sessions,
            connecting_sessions=statistics.connecting_sessions,
            failed_sessions=statistics.failed_sessions,
            ws_connections=ws_connections,
            opened_sessions=statistics.opened_sessions,
            streams=statistics.streams,
        )


class IceServers(Body):
    """What a browser puts into `RTCConfiguration`."""

    ice_servers: list[IceServer]


class DeviceBody(Body):
    """What can be watched."""

    device_id: str
    name: str | None
    """What the operator calls it, or its container."""
    serial: str | None
    """What adb calls it; null for what is not a phone."""
    origin: str = Field(examples=["adb", "ADB_DEVICES", "container redroid-1"])
    """Why it is there."""
    model: str
    state: str = Field(examples=["online", "offline", "unauthorized", "connecting", "lost"])
    capture_mode: str | None = Field(examples=["scrcpy", "screenrecord", "rawvideo", "screencap", None])
    """How its pictures are captured now; null while nobody watches."""
    reason: str
    """Why the state is what it is, and while it is watched why it is captured that way."""
    width: int | None
    height: int | None
    rotation: int | None
    """Degrees that it is turned; null while nobody watches or knows."""
    screen: str | None = Field(examples=["shown", "off", "secure", "booting", None])
    audio: bool
    """Whether its sound is captured now."""
    viewers: int

    @classmethod
    def of(cls, device: DeviceDescription) -> Self:
        return cls.model_validate(device, from_attributes=True)


class DeviceList(Body):
    """Every device that the caller may watch."""

    devices: list[DeviceBody]
    total: int


class DescribedDevices(Body):
    """A `DeviceList` to answer with: a `DeviceBody` for each of hundreds would cost more than all the rest."""

    devices: list[DeviceDescription]
    total: int


class Explanation(RootModel[dict[str, Any]]):
    """Why a session looks as it does: codec and profile, passthrough or encoded, path, loss, bottleneck, keyframes.

    `bottleneck` is what holds the picture back most and `bottleneckReason` says it in words. What is not known yet is
    null.
    """
