"""What the OpenAPI document says of the routes in `signaling` that speak something else than JSON over plain HTTP."""

from pydantic import Field

from signaling import tickets, websocket, whep
from signaling.bodies import Body
from signaling.json_body import JSON
from signaling.operations import Answer, Operation, Operations, Tag
from signaling.problem_codes import OPENING

_ENDPOINT = "/api/media/whep/{device_id}"
_SESSION = "/api/media/whep/{device_id}/{session_id}"
_NOT_THERE = ("session_not_found",)


class Ticket(Body):
    """What opens one WebSocket, once."""

    ticket: str
    expires_in: int = Field(ge=0)
    """Seconds."""


WHEP: Operations = {
    ("POST", _ENDPOINT): Operation(
        "whepStart",
        "Watch a device",
        Tag.WHEP,
        {
            201: Answer(
                "Our answer, with all of our candidates.",
                media_type=whep.SDP,
                headers=("Location", "ETag", "Accept-Patch"),
            )
        },
        OPENING,
        body_media_type=whep.SDP,
        description="The `Link` headers of the answer name the ICE servers.",
    ),
    ("GET", _ENDPOINT): Operation("whepGet", "Reserved", Tag.WHEP, {204: Answer("The draft gives it no meaning yet.")}),
    ("HEAD", _ENDPOINT): Operation(
        "whepHead", "Whether this is WHEP", Tag.WHEP, {200: Answer("Its `Content-Type` says so.")}
    ),
    ("OPTIONS", _ENDPOINT): Operation(
        "whepOptions",
        "What a POST may send",
        Tag.WHEP,
        {200: Answer("The `Link` headers name the ICE servers.", headers=("Accept-Post", "Allow"))},
    ),
    ("PATCH", _SESSION): Operation(
        "whepPatch",
        "Trickle candidates, or restart ICE",
        Tag.WHEP,
        {
            200: Answer("ICE was restarted: our new credentials.", media_type=whep.TRICKLE_FRAGMENT, headers=("ETag",)),
            204: Answer("The candidates were taken."),
        },
        (
            *("malformed_sdp", "session_not_found", "wrong_state", "precondition_failed", "precondition_required"),
            "too_many_requests",
        ),
        body_media_type=whep.TRICKLE_FRAGMENT,
        description="ICE is restarted where the fragment has other credentials than the session.",
        request_headers=("If-Match",),
    ),
    ("DELETE", _SESSION): Operation(
        "whepEnd",
        "Stop watching",
        Tag.WHEP,
        {200: Answer("It is over, and everything it held is free.")},
        _NOT_THERE,
    ),
    ("GET", _SESSION): Operation(
        "whepGetSession", "Reserved", Tag.WHEP, {204: Answer("The session is there.")}, _NOT_THERE
    ),
    ("HEAD", _SESSION): Operation(
        "whepHeadSession", "Whether a session is there", Tag.WHEP, {200: Answer("It is.")}, _NOT_THERE
    ),
    ("OPTIONS", _SESSION): Operation(
        "whepSessionOptions",
        "What a PATCH may send",
        Tag.WHEP,
        {200: Answer("This.", headers=("Accept-Patch", "Allow"))},
    ),
}

SOCKETS: Operations = {
    ("GET", websocket.PATH): Operation(
        "connect",
        "The control WebSocket",
        Tag.SOCKETS,
        {101: Answer("The WebSocket is open.")},
        ("bad_request", "too_many_requests"),
        description="Its messages are described at `/api/media/asyncapi.json`.",
        is_socket=True,
    ),
    ("GET", "/api/media/asyncapi.json"): Operation(
        "getMessages",
        "The messages of the WebSockets and of the data channel",
        Tag.DOCUMENTATION,
        {200: Answer("AsyncAPI 3.", media_type=JSON)},
        is_open=True,
    ),
    ("POST", tickets.PATH): Operation(
        "issueTicket",
        "A ticket for a WebSocket",
        Tag.TOKENS,
        {201: Answer("It opens one WebSocket, as `?ticket=`.", Ticket)},
        ("too_many_tickets",),
        description="For browsers, which can set no header when they open one.",
    ),
}
