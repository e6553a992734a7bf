"""Golden JSON of the WebSocket's messages: these tables are the documentation of the wire."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.input_events import Key, Rotate, Text, Touch, TouchAction
from signaling.browser_messages import (
    Attach,
    BrowserAnswer,
    BrowserMessage,
    BrowserOffer,
    Join,
    KeyframeRequest,
    Leave,
    Ping,
    StatsSubscription,
    TrickledCandidate,
    parse,
)
from signaling.choices import QualityChoice, QualityLevel, SoundChoice
from signaling.errors import MalformedMessage
from signaling.input_messages import MAX_CLIPBOARD, ClipboardRequest, Input
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
    clipboard_answer,
    serialize,
)

CANDIDATE = "candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host generation 0"

FROM_THE_BROWSER: list[tuple[str, BrowserMessage, int | None]] = [
    ('{"type":"join","id":1,"deviceId":"192.168.1.2:5555"}', Join("192.168.1.2:5555"), 1),
    ('{"type":"join","sessionId":"s1"}', Attach("s1"), None),
    ('{"type":"join","sessionId":"s1","deviceId":7,"id":1}', Attach("s1"), 1),
    ('{"type":"join","sessionId":null,"deviceId":"demo"}', Join("demo"), None),
    ('{"type":"offer","id":2,"deviceId":"demo","sdp":"v=0\\r\\n"}', BrowserOffer("demo", "v=0\r\n"), 2),
    ('{"type":"answer","id":3,"sdp":"v=0\\r\\n"}', BrowserAnswer("v=0\r\n"), 3),
    ('{"type":"answer","sessionId":"s1","sdp":"v=0\\r\\n"}', BrowserAnswer("v=0\r\n", "s1"), None),
    (
        json.dumps(
            {
                "type": "ice-candidate",
                "sessionId": "s1",
                "candidate": {"candidate": CANDIDATE, "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "abcd"},
            }
        ),
        TrickledCandidate(CANDIDATE, "0", "s1"),
        None,
    ),
    ('{"type":"ice-candidate","candidate":{"candidate":"","sdpMid":""}}', TrickledCandidate("", ""), None),
    ('{"type":"ice-candidate","candidate":null}', TrickledCandidate(""), None),
    (
        json.dumps({"type": "ice-candidate", "sessionId": "s1", "candidate": CANDIDATE}),
        TrickledCandidate(CANDIDATE, None, "s1"),
        None,
    ),
    ('{"type":"ice-candidate","candidate":"","sdpMid":"0"}', TrickledCandidate("", "0"), None),
    (
        '{"type":"input","id":4,"sessionId":"s1","event":{"type":"touch","action":"tap","x":1,"y":2,"seq":9}}',
        Input(Touch(TouchAction.TAP, 1, 2), seq=9, session_id="s1"),
        4,
    ),
    (
        '{"type":"touch","action":"down","x":1.5,"y":2}',
        Input(Touch(TouchAction.DOWN, 1.5, 2)),
        None,
    ),
    ('{"type":"key","keyCode":4}', Input(Key(4)), None),
    ('{"type":"text","text":"Grüße","deviceId":"demo"}', Input(Text("Grüße"), device_id="demo"), None),
    ('{"type":"rotate","sessionId":"s1"}', Input(Rotate(), session_id="s1"), None),
    ('{"type":"clipboard","action":"get","id":7}', ClipboardRequest(), 7),
    ('{"type":"keyframe-request","id":0}', KeyframeRequest(), 0),
    ('{"type":"sound","action":"off","id":5}', SoundChoice(is_wanted=False), 5),
    ('{"type":"sound","action":"on","sessionId":"s1"}', SoundChoice(is_wanted=True, session_id="s1"), None),
    ('{"type":"quality","level":"auto","id":6}', QualityChoice(QualityLevel.AUTO), 6),
    (
        '{"type":"quality","level":"480p","maxBitrate":900000,"sessionId":"s1"}',
        QualityChoice(QualityLevel.P480, 900_000, "s1"),
        None,
    ),
    ('{"type":"quality","level":"source","maxBitrate":null}', QualityChoice(QualityLevel.SOURCE), None),
    ('{"type":"stats","periodMs":1000,"sessionId":"s1"}', StatsSubscription(1000, "s1"), None),
    ('{"type":"stats","periodMs":0}', StatsSubscription(0), None),
    ('{"type":"leave"}', Leave(), None),
    ('{"type":"leave","sessionId":"s1"}', Leave("s1"), None),
    ('{"type":"leave","deviceId":"demo"}', Leave(device_id="demo"), None),
    ('{"type":"ping","id":9007199254740991,"unknown":"fields are ignored"}', Ping(), 2**53 - 1),
]

FROM_US: list[tuple[ServerMessage, int | None, str]] = [
    (Ok(), 1, '{"type":"ok","id":1}'),
    (Pong(), None, '{"type":"pong"}'),
    (ServerAnswer("s1", "v=0\r\n"), 2, '{"type":"answer","sessionId":"s1","sdp":"v=0\\r\\n","id":2}'),
    (ServerOffer("s1", "v=0\r\n"), 3, '{"type":"offer","sessionId":"s1","sdp":"v=0\\r\\n","id":3}'),
    (
        Error("device_not_found", "no device 'x'"),
        4,
        '{"type":"error","code":"device_not_found","detail":"no device \'x\'","id":4}',
    ),
    (
        Error("too_many_viewers", "full", retry_after=5, seq=7),
        None,
        '{"type":"error","code":"too_many_viewers","detail":"full","retryAfter":5,"seq":7}',
    ),
    (
        StateChange("device", "s1", "demo", "reconnecting", "adb lost it"),
        None,
        '{"type":"device-state","sessionId":"s1","deviceId":"demo","state":"reconnecting","reason":"adb lost it"}',
    ),
    (
        StateChange("stream", "s1", "demo", "scrcpy", "best", VideoState(1280, 720, 90, "shown", has_audio=True)),
        None,
        '{"type":"stream-state","sessionId":"s1","deviceId":"demo","state":"scrcpy","reason":"best",'
        '"width":1280,"height":720,"rotation":90,"screen":"shown","audio":true,'
        '"quality":"source","coding":"passthrough","qualityReason":"","levels":["source"]}',
    ),
    (
        StateChange(
            "stream",
            "s1",
            "demo",
            "scrcpy",
            "best",
            VideoState(
                480,
                854,
                None,
                "shown",
                has_audio=False,
                quality="480p",
                is_encoded=True,
                quality_reason="its path carries 0.9 Mbit/s",
                levels=("source", "480p", "360p"),
            ),
        ),
        None,
        '{"type":"stream-state","sessionId":"s1","deviceId":"demo","state":"scrcpy","reason":"best",'
        '"width":480,"height":854,"rotation":null,"screen":"shown","audio":false,'
        '"quality":"480p","coding":"encoded","qualityReason":"its path carries 0.9 Mbit/s",'
        '"levels":["source","480p","360p"]}',
    ),
    (
        Stats("s1", {"packetsSent": 3, "roundTripTime": 0.025, "bottleneck": None}),
        None,
        '{"type":"stats","sessionId":"s1","stats":{"packetsSent":3,"roundTripTime":0.025,"bottleneck":null}}',
    ),
    (
        InputAck(9, 1767225600000.25, 3.25),
        None,
        '{"type":"input-ack","seq":9,"injectedAt":1767225600000.25,"latencyMs":3.25}',
    ),
    (ClipboardText("Grüße"), 8, '{"type":"clipboard","text":"Gr\\u00fc\\u00dfe","id":8}'),
    (ClipboardText("", 3), None, '{"type":"clipboard","text":"","seq":3}'),
]


@pytest.mark.parametrize(("text", "message", "message_id"), FROM_THE_BROWSER)
def test_messages_of_the_browser(text: str, message: BrowserMessage, message_id: int | None) -> None:
    assert parse(text) == (message, message_id)


@pytest.mark.parametrize(("message", "message_id", "text"), FROM_US)
def test_messages_of_ours(message: ServerMessage, message_id: int | None, text: str) -> None:
    assert serialize(message, message_id) == text


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "the message is not JSON: Expecting value"),
        ("{", "the message is not JSON"),
        ("[1]", "the message must be a JSON object, not an array"),
        ('"join"', 'the message must be a JSON object, not "join"'),
        ("{}", "type is missing: it must be one of join, offer, answer"),
        ('{"type":"dance"}', "type must be one of join, offer, answer, ice-candidate, input, keyframe-request, stats"),
        ('{"type":"dance"}', 'not "dance"'),
        ('{"type":["join"]}', "type must be one of"),
        ('{"type":"join"}', "deviceId is missing: it must be a string of 1 to 128 characters"),
        ('{"type":"join","deviceId":5}', "deviceId must be a string of 1 to 128 characters, not 5"),
        ('{"type":"join","deviceId":""}', 'deviceId must be a string of 1 to 128 characters, not ""'),
        ('{"type":"offer","deviceId":"demo","sdp":true}', "sdp must be a string of 1 to 65536 characters, not true"),
        ('{"type":"ping","id":"1"}', 'id must be an integer from 0 to 9007199254740991, not "1"'),
        ('{"type":"ping","id":true}', "id must be an integer from 0 to 9007199254740991, not true"),
        ('{"type":"ping","id":-1}', "id must be an integer"),
        ('{"type":"ping","x":NaN}', "the message is not JSON: NaN is no JSON number"),
        ('{"type":"sound"}', "action is missing: it must be one of on, off"),
        ('{"type":"quality"}', "level is missing: it must be one of auto, source, 1080p, 720p, 480p, 360p"),
        ('{"type":"quality","level":"4k"}', 'level must be one of auto, source, 1080p, 720p, 480p, 360p, not "4k"'),
        ('{"type":"quality","level":480}', "level must be one of auto, source, 1080p, 720p, 480p, 360p, not 480"),
        ('{"type":"quality","level":"auto","maxBitrate":0}', "maxBitrate must be an integer from 50000 to 1000000000"),
        ('{"type":"quality","level":"auto","maxBitrate":"1M"}', "maxBitrate must be an integer from 50000"),
        ('{"type":"quality","level":"auto","sessionId":7}', "sessionId must be a string of 1 to 128 characters, not 7"),
        ('{"type":"stats"}', "periodMs is missing"),
        ('{"type":"stats","periodMs":5}', "periodMs must be 0 or 100 to 60000, not 5"),
        (
            '{"type":"stats","periodMs":1e400}',
            "periodMs must be an integer from 0 to 60000, not a number beyond all bounds",
        ),
        ('{"type":"ice-candidate","candidate":7}', "candidate must be an object, not 7"),
        (
            json.dumps({"type": "ice-candidate", "candidate": "x" * 1025}),
            "candidate must be a string of 0 to 1024 characters, not a string of 1025 characters",
        ),
        ('{"type":"ice-candidate","candidate":"","sdpMid":7}', "sdpMid must be a string of 0 to 128 characters, not 7"),
        ('{"type":"join","sessionId":""}', 'sessionId must be a string of 1 to 128 characters, not ""'),
        ('{"type":"ice-candidate","candidate":{}}', "candidate.candidate is missing"),
        ('{"type":"input"}', "event is missing: it must be an object"),
        ('{"type":"input","event":{"type":"input"}}', "event.type must be one of touch, key, text, scroll"),
        ('{"type":"leave","sessionId":{}}', "sessionId must be a string of 1 to 128 characters, not an object"),
        ('{"type":' + "[" * 100_000, "the message is not JSON: a number or the nesting is too large"),
        ('{"type":"ping","id":' + "9" * 5000 + "}", "the message is not JSON: a number or the nesting is too large"),
    ],
)
def test_what_is_wrong_is_named(text: str, wrong: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse(text)
    assert wrong in caught.value.detail
    assert caught.value.code == "malformed_message"


def test_an_error_knows_the_id_of_its_message() -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse('{"type":"join","id":12}')
    assert caught.value.message_id == 12


def test_what_was_copied_or_typed_or_a_candidate_is_in_no_repr() -> None:
    for text in (
        '{"type":"text","text":"secret"}',
        '{"type":"clipboard","action":"set","text":"secret"}',
        '{"type":"ice-candidate","candidate":"secret"}',
    ):
        assert "secret" not in repr(parse(text))
    assert "secret" not in repr(ClipboardText("secret"))


def test_a_clipboard_too_large_is_not_told() -> None:
    assert clipboard_answer("x" * MAX_CLIPBOARD, 5) == ClipboardText("x" * MAX_CLIPBOARD, 5)
    answer = clipboard_answer("x" * (MAX_CLIPBOARD + 1), 5)
    assert isinstance(answer, Error)
    assert (answer.code, answer.seq) == ("clipboard_too_large", 5)


def test_a_description_is_never_repeated_in_an_error() -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse(json.dumps({"type": "offer", "deviceId": "demo", "sdp": "a=ice-pwd:secret" * 5000}))
    assert caught.value.detail == "sdp must be a string of 1 to 65536 characters, not a string of 80000 characters"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
field_names = st.sampled_from(
    [
        "id",
        "type",
        "deviceId",
        "sessionId",
        "sdp",
        "candidate",
        "event",
        "x",
        "y",
        "action",
        "keyCode",
        "text",
        "periodMs",
        "level",
        "maxBitrate",
    ]
)
types = st.sampled_from([json.loads(text)["type"] for text, _, _ in FROM_THE_BROWSER])


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=60), st.dictionaries(field_names, types | json_values, max_size=6).map(json.dumps)))
def test_garbage_raises_only_documented_errors(text: str) -> None:
    try:
        parse(text)
    except MalformedMessage:
        pass
