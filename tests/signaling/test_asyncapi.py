"""The AsyncAPI document against the code: what it shows is taken, what is sent is in it, what it forbids is refused."""

import json
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from signaling.asyncapi import CONTROL, PATH, SOCKET, document
from signaling.browser_messages import MAX_CANDIDATE, BrowserMessage, parse
from signaling.browser_schemas import STATS_REQUEST
from signaling.choices import QualityLevel
from signaling.errors import MalformedMessage
from signaling.input_messages import CONTROL_TYPES, ControlMessage, parse_control
from signaling.message_description import MessageDescription
from signaling.sdp import MAX_DESCRIPTION_SIZE
from signaling.server_messages import (
    ClipboardText,
    Error,
    InputAck,
    Ok,
    Pong,
    ServerAnswer,
    ServerMessage,
    ServerOffer,
    StateChange,
    Stats,
    VideoState,
    serialize,
)
from signaling.server_schemas import SERVER_MESSAGES
from tests.signaling.memory_service import MemoryService, served

DOCUMENT = document()
ON_SOCKET = Draft7Validator({"anyOf": [described.schema for described in SOCKET]})
ON_CONTROL = Draft7Validator({"anyOf": [described.schema for described in CONTROL]})
OURS = {described.name: Draft7Validator(described.schema) for described in SERVER_MESSAGES}

NOT_IN_A_SCHEMA = (
    "no more than maxBitrate",
    "half of a surrogate pair",
    "JSON",
)
"""What the service refuses and no schema can: see `signaling.browser_schemas`. Places beyond the video are apart."""


def nodes(node: Any) -> Iterator[Any]:
    yield node
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    for child in children:
        yield from nodes(child)


def at(reference: str) -> Any:
    node: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        node = node[name]
    return node


def examples(descriptions: tuple[MessageDescription, ...]) -> list[Any]:
    return [
        pytest.param(described, example, id=f"{described.name}-{index}")
        for described in descriptions
        for index, example in enumerate(described.examples)
    ]


# The document itself


async def test_it_is_served_and_asks_for_no_token() -> None:
    async with served(MemoryService()) as client:
        response = await client.get(PATH)
        assert (response.status, response.content_type) == (200, "application/json")
        assert await response.json() == DOCUMENT


def test_its_references_lead_somewhere() -> None:
    references = [node["$ref"] for node in nodes(DOCUMENT) if isinstance(node, Mapping) and "$ref" in node]
    assert len(references) > 100
    for reference in references:
        assert isinstance(at(reference), Mapping), reference


def test_operations_name_messages_of_their_own_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        prefix = operation["channel"]["$ref"] + "/messages/"
        messages = [*operation["messages"], *operation.get("reply", {}).get("messages", [])]
        assert all(each["$ref"].startswith(prefix) for each in messages)


def test_every_message_of_a_channel_has_an_operation() -> None:
    for channel in ("websocket", "control"):
        named = {
            each["$ref"].rpartition("/")[2]
            for operation in DOCUMENT["operations"].values()
            for each in [*operation["messages"], *operation.get("reply", {}).get("messages", [])]
            if each["$ref"].startswith(f"#/channels/{channel}/")
        }
        assert named == set(DOCUMENT["channels"][channel]["messages"])


def test_its_schemas_are_schemas() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


def test_every_kind_of_message_is_in_it() -> None:
    on_socket: set[type[Any]] = {type(parse(json.dumps(example))[0]) for each in SOCKET for example in each.examples}
    assert on_socket == set(get_args(BrowserMessage))
    on_control: set[type[Any]] = {
        type(parse_control(json.dumps(example))) for each in CONTROL for example in each.examples
    }
    assert on_control == set(get_args(ControlMessage))
    assert {described.schema["properties"]["type"]["const"] for described in CONTROL} == set(CONTROL_TYPES)


# What it shows


@pytest.mark.parametrize(("described", "example"), examples(SOCKET))
def test_examples_of_the_socket_are_taken(described: MessageDescription, example: Mapping[str, Any]) -> None:
    assert Draft7Validator(described.schema).is_valid(example)
    parse(json.dumps(example))


@pytest.mark.parametrize(("described", "example"), examples(CONTROL))
def test_examples_of_the_channel_are_taken(described: MessageDescription, example: Mapping[str, Any]) -> None:
    assert Draft7Validator(described.schema).is_valid(example)
    parse_control(json.dumps(example))


@pytest.mark.parametrize(("described", "example"), examples(SERVER_MESSAGES))
def test_examples_of_ours_are_what_is_sent(described: MessageDescription, example: Mapping[str, Any]) -> None:
    assert Draft7Validator(described.schema).is_valid(example)
    assert json.loads(serialize(*as_message(example))) == example


def as_message(values: Mapping[str, Any]) -> tuple[ServerMessage, int | None]:
    """The message that reads so."""
    kind, message_id = values["type"], values.get("id")
    message: ServerMessage
    match kind:
        case "ok":
            message = Ok()
        case "pong":
            message = Pong()
        case "error":
            message = Error(values["code"], values["detail"], values.get("retryAfter"), values.get("seq"))
        case "offer":
            message = ServerOffer(values["sessionId"], values["sdp"])
        case "answer":
            message = ServerAnswer(values["sessionId"], values["sdp"])
        case "stats":
            message = Stats(values["sessionId"], values["stats"])
        case "input-ack":
            message = InputAck(values["seq"], values["injectedAt"], values["latencyMs"])
        case "clipboard":
            message = ClipboardText(values["text"], values.get("seq"))
        case _:
            video = None
            if "width" in values:
                video = VideoState(
                    values["width"],
                    values["height"],
                    values["rotation"],
                    values["screen"],
                    has_audio=values["audio"],
                    quality=values["quality"],
                    is_encoded=values["coding"] == "encoded",
                    quality_reason=values["qualityReason"],
                    levels=tuple(values["levels"]),
                )
            message = StateChange(
                kind.removesuffix("-state"),
                values["sessionId"],
                values["deviceId"],
                values["state"],
                values["reason"],
                video,
            )
    return message, message_id


# What is sent

numbers = st.integers(0, 2**53 - 1)
maybe_numbers = st.none() | numbers
words = st.text(max_size=20)
sides = st.none() | st.integers(1, 8192)
videos = st.builds(
    VideoState,
    sides,
    sides,
    st.sampled_from([None, 0, 90, 180, 270]),
    st.sampled_from(["shown", "still", "off", "secure", "booting"]),
    has_audio=st.booleans(),
    quality=st.sampled_from([level for level in QualityLevel if level is not QualityLevel.AUTO]),
    is_encoded=st.booleans(),
    quality_reason=words,
    levels=st.lists(st.sampled_from([*QualityLevel])).map(tuple),
)
STATES = {
    "session": st.sampled_from(["new", "connecting", "connected", "failed", "closed"]),
    "device": st.sampled_from(["online", "reconnecting", "lost"]),
    "stream": words,
}
SENT: dict[type[Any], tuple[tuple[str, ...], st.SearchStrategy[Any]]] = {
    Ok: (("ok",), st.just(Ok())),
    Pong: (("pong",), st.just(Pong())),
    Error: (("error",), st.builds(Error, words, words, st.none() | st.integers(0, 3600), maybe_numbers)),
    ServerOffer: (("serverOffer",), st.builds(ServerOffer, words, words)),
    ServerAnswer: (("serverAnswer",), st.builds(ServerAnswer, words, words)),
    StateChange: (
        ("sessionState", "deviceState", "streamState"),
        st.sampled_from(sorted(STATES)).flatmap(
            lambda kind: st.builds(
                StateChange,
                st.just(kind),
                words,
                words,
                STATES[kind],
                words,
                videos | st.none() if kind == "stream" else st.none(),
            )
        ),
    ),
    Stats: (
        ("stats",),
        st.builds(
            Stats,
            words,
            st.dictionaries(
                words, st.none() | words | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
            ),
        ),
    ),
    InputAck: (("inputAck",), st.builds(InputAck, numbers, st.floats(0, 4e12), st.floats(0, 1e6))),
    ClipboardText: (("clipboardText",), st.builds(ClipboardText, words, maybe_numbers)),
}
REPLIES = (Ok, Pong, Error, ServerOffer, ServerAnswer, ClipboardText)


def test_all_that_can_be_sent_is_tried() -> None:
    assert isinstance(ServerMessage, types.UnionType)
    assert set(SENT) == set(get_args(ServerMessage))
    assert {name for names, _ in SENT.values() for name in names} == set(OURS)


@pytest.mark.parametrize("kind", SENT, ids=lambda kind: kind.__name__)
@settings(max_examples=60)
@given(data=st.data())
def test_what_is_sent_is_as_the_document_says(kind: type[Any], data: st.DataObject) -> None:
    names, messages = SENT[kind]
    message_id = data.draw(maybe_numbers) if kind in REPLIES else None
    values = json.loads(serialize(data.draw(messages), message_id))
    fitting = [name for name in names if OURS[name].is_valid(values)]
    assert len(fitting) == 1
    properties = at(f"#/components/schemas/{fitting[0]}/properties")
    assert set(values) <= set(properties)


# What is refused

TOUCH = {"type": "touch", "action": "tap", "x": 1, "y": 1}
SWIPE = {"type": "swipe", "x1": 1, "y1": 1, "x2": 1, "y2": 1}
BAD: list[Any] = [
    None,
    7,
    [],
    "join",
    {},
    {"type": "dance"},
    {"type": ["join"]},
    {"type": "ping", "id": "1"},
    {"type": "ping", "id": True},
    {"type": "ping", "id": -1},
    {"type": "ping", "id": 2**53},
    {"type": "ping", "id": 1.5},
    {"type": "join"},
    {"type": "join", "deviceId": 5},
    {"type": "join", "deviceId": ""},
    {"type": "join", "deviceId": "x" * 129},
    {"type": "join", "sessionId": ""},
    {"type": "join", "sessionId": 5, "deviceId": "demo"},
    {"type": "offer", "deviceId": "demo"},
    {"type": "offer", "deviceId": "demo", "sdp": True},
    {"type": "offer", "deviceId": "demo", "sdp": "x" * (MAX_DESCRIPTION_SIZE + 1)},
    {"type": "answer"},
    {"type": "answer", "sdp": ""},
    {"type": "answer", "sdp": "v=0", "sessionId": {}},
    {"type": "ice-candidate", "candidate": 7},
    {"type": "ice-candidate", "candidate": {}},
    {"type": "ice-candidate", "candidate": "x" * (MAX_CANDIDATE + 1)},
    {"type": "ice-candidate", "candidate": "x", "sdpMid": 0},
    {"type": "ice-candidate", "candidate": {"candidate": "x", "sdpMid": 0}},
    {"type": "ice-candidate", "candidate": [], "sdpMid": "0"},
    {"type": "keyframe-request", "sessionId": 1},
    {"type": "sound"},
    {"type": "sound", "action": "mute"},
    {"type": "quality"},
    {"type": "quality", "level": "4k"},
    {"type": "quality", "level": 480},
    {"type": "quality", "level": "auto", "maxBitrate": 0},
    {"type": "quality", "level": "auto", "maxBitrate": "1M"},
    {"type": "quality", "level": "auto", "startBitrate": 10**10},
    {"type": "leave", "sessionId": {}},
    {"type": "leave", "deviceId": ""},
    {"type": "input"},
    {"type": "input", "event": 7},
    {"type": "input", "event": {"type": "input"}},
    {"type": "input", "event": {**TOUCH, "seq": -1}},
    {"type": "input", "event": {**TOUCH, "deviceId": 7}},
    {"type": "input", "event": TOUCH, "sessionId": 7},
    {**TOUCH, "action": "press"},
    {**TOUCH, "action": None},
    {**TOUCH, "x": None},
    {**TOUCH, "x": "1"},
    {**TOUCH, "x": True},
    {**TOUCH, "x": -1},
    {**TOUCH, "x": 65536},
    {**TOUCH, "action": "move", "x": -65536},
    {**TOUCH, "width": 720},
    {**TOUCH, "width": 0, "height": 9},
    {**TOUCH, "width": 720, "height": "9"},
    {**TOUCH, "pointerId": -1},
    {**TOUCH, "pointerId": 2**31},
    {**TOUCH, "pressure": 1.5},
    {**TOUCH, "seq": 1.5},
    {"type": "key"},
    {"type": "key", "keyCode": 0},
    {"type": "key", "keyCode": "any"},
    {"type": "key", "keyCode": 4, "action": "tap"},
    {"type": "text"},
    {"type": "text", "text": ""},
    {"type": "text", "text": "x" * 4097},
    {"type": "scroll", "x": 1},
    {"type": "scroll", "x": 1, "y": 1, "dx": 101},
    {"type": "scroll", "x": 1, "y": 1, "dy": "1"},
    {**SWIPE, "durationMs": 0},
    {**SWIPE, "durationMs": 10_001},
    {**SWIPE, "y2": None},
    {**SWIPE, "height": 5},
    {"type": "rotate", "seq": "1"},
    {"type": "clipboard"},
    {"type": "clipboard", "action": "cut"},
    {"type": "clipboard", "action": "set"},
    {"type": "clipboard", "action": "set", "text": None},
    {"type": "clipboard", "action": "set", "text": "x" * 32_769},
]


@pytest.mark.parametrize("values", BAD, ids=lambda values: json.dumps(values)[:60])
def test_what_the_service_refuses_the_document_forbids(values: Any) -> None:
    with pytest.raises(MalformedMessage):
        parse(json.dumps(values))
    assert not ON_SOCKET.is_valid(values)


@pytest.mark.parametrize("period", [None, -1, 5, 99, 60_001, "1000", True])
def test_periods(period: Any) -> None:
    values = {"type": "stats", "periodMs": period}
    with pytest.raises(MalformedMessage):
        parse(json.dumps(values))
    assert not ON_SOCKET.is_valid(values)
    assert Draft7Validator(STATS_REQUEST.schema).is_valid(values)  # There it is ignored.


ordinary = st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([0.5, 3.0, 1e400, "", "x", "on"])
values_of_fields = {
    "id": ordinary,
    "sessionId": st.sampled_from(["s1", None, "", 7]),
    "deviceId": st.sampled_from(["demo", None, "", 7]),
    "sdp": st.sampled_from(["v=0", "", None]),
    "candidate": st.sampled_from(
        ["x", "", None, 7, {}, {"candidate": "x"}, {"candidate": 1}, {"candidate": "", "sdpMid": 1}]
    ),
    "sdpMid": st.sampled_from(["0", "", None, 0]),
    "action": st.sampled_from(["tap", "move", "on", "off", "get", "set", "press", "down", "cut", None]),
    "x": ordinary,
    "y": ordinary,
    "x1": ordinary,
    "y1": ordinary,
    "x2": ordinary,
    "y2": ordinary,
    "dx": ordinary,
    "dy": ordinary,
    "width": ordinary,
    "height": ordinary,
    "pointerId": ordinary,
    "pressure": ordinary,
    "durationMs": ordinary,
    "keyCode": ordinary | st.just("back"),
    "text": st.sampled_from(["x", "", None, "\ud83d", 7]),
    "level": st.sampled_from(["auto", "480p", "4k", None]),
    "maxBitrate": st.sampled_from([None, 50_000, 90_000, 5]),
    "minBitrate": st.sampled_from([None, 50_000, 90_000, 5]),
    "periodMs": st.sampled_from([None, 0, 5, 100, 1000.0, 99_999]),
    "seq": ordinary,
}


@st.composite
def nearly(draw: st.DrawFn, described: MessageDescription) -> dict[str, Any]:
    """An example of a message, with some of its fields right or wrong in another way, or missing."""
    values = dict(draw(st.sampled_from(described.examples)))
    names = sorted(name for name in described.schema["properties"] if name in values_of_fields)
    for name in draw(st.lists(st.sampled_from(names), max_size=2)) if names else ():
        value = draw(values_of_fields[name] | st.just(MISSING))
        values.pop(name, None)
        if value is not MISSING:
            values[name] = value
    return values


MISSING = object()
bare = st.one_of([nearly(described) for described in SOCKET])
wrapped = st.fixed_dictionaries(
    {"type": st.just("input"), "event": bare}, optional={"sessionId": values_of_fields["sessionId"]}
)


@settings(max_examples=250)
@given(bare | wrapped)
def test_service_and_document_agree(values: dict[str, Any]) -> None:
    refusal = why_refused(parse, values)
    if refusal is None or not is_beyond_schemas(refusal, values):
        assert is_allowed(SOCKET_KINDS, values) is (refusal is None), refusal


@settings(max_examples=250)
@given(bare | wrapped)
def test_service_and_document_agree_on_the_data_channel(values: dict[str, Any]) -> None:
    values.pop("id", None)  # It means nothing there, whatever it is.
    refusal = why_refused(parse_control, values)
    if refusal is None or not is_beyond_schemas(refusal, values):
        assert is_allowed(CONTROL_KINDS, values) is (refusal is None), refusal


def kinds(descriptions: tuple[MessageDescription, ...]) -> dict[str, list[Draft7Validator]]:
    """The schemas by the type of their messages, of which most have one: all of them take their time."""
    found: dict[str, list[Draft7Validator]] = {}
    for described in descriptions:
        found.setdefault(described.schema["properties"]["type"]["const"], []).append(Draft7Validator(described.schema))
    return found


SOCKET_KINDS, CONTROL_KINDS = kinds(SOCKET), kinds(CONTROL)


def is_allowed(by_kind: Mapping[str, list[Draft7Validator]], values: Mapping[str, Any]) -> bool:
    return any(validator.is_valid(values) for validator in by_kind.get(values["type"], ()))


def why_refused(parse_text: Callable[[str], object], values: Mapping[str, Any]) -> str | None:
    try:
        parse_text(json.dumps(values))
    except MalformedMessage as error:
        return error.detail
    return None


def is_beyond_schemas(refusal: str, values: Mapping[str, Any]) -> bool:
    return any(reason in refusal for reason in NOT_IN_A_SCHEMA) or is_beyond_its_video(values)


def is_beyond_its_video(values: Mapping[str, Any]) -> bool:
    """Whether a place of the message is further out than its own `width` and `height`."""
    event = values.get("event", values)
    sizes = [event.get(name) for name in ("width", "height")]
    places = [event[name] for name in ("x", "y", "x1", "y1", "x2", "y2") if name in event]
    numbers_only = [each for each in (*sizes, *places) if isinstance(each, int | float)]
    return all(isinstance(size, int | float) for size in sizes) and max(numbers_only) > min(sizes)
