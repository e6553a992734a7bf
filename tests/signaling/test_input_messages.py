"""Golden JSON of the data channel `control`: these tables are the documentation of the wire."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.input_events import (
    InputEvent,
    Key,
    KeyAction,
    Rotate,
    Scroll,
    Swipe,
    Text,
    Touch,
    TouchAction,
    VideoSize,
    WriteClipboard,
)
from signaling.choices import QualityChoice, QualityLevel, SoundChoice
from signaling.errors import MalformedMessage
from signaling.input_messages import KEY_CODES, MAX_CLIPBOARD, ClipboardRequest, Input, StatsRequest, parse_control

EVENTS: list[tuple[str, InputEvent]] = [
    ('{"type":"touch","action":"tap","x":360,"y":640}', Touch(TouchAction.TAP, 360, 640)),
    (
        '{"type":"touch","action":"down","x":0.5,"y":640,"width":720,"height":1280,"pointerId":2}',
        Touch(TouchAction.DOWN, 0.5, 640, VideoSize(720, 1280), 2),
    ),
    ('{"type":"touch","action":"move","x":-20,"y":1e4}', Touch(TouchAction.MOVE, 0, 10_000)),
    (
        '{"type":"touch","action":"up","x":800,"y":-1,"width":720,"height":1280}',
        Touch(TouchAction.UP, 720, 0, VideoSize(720, 1280)),
    ),
    (
        '{"type":"touch","action":"down","x":1,"y":2,"pressure":0.25}',
        Touch(TouchAction.DOWN, 1, 2, pressure=0.25),
    ),
    (
        '{"type":"scroll","x":360,"y":640,"dx":-0.5,"dy":2,"width":720,"height":1280}',
        Scroll(360, 640, -0.5, 2, VideoSize(720, 1280)),
    ),
    ('{"type":"scroll","x":1,"y":2,"dy":null}', Scroll(1, 2, 0, 0)),
    ('{"type":"swipe","x1":1,"y1":2,"x2":3,"y2":4,"durationMs":250}', Swipe(1, 2, 3, 4, 0.25)),
    (
        '{"type":"swipe","x1":1,"y1":2,"x2":3,"y2":4,"width":720,"height":1280}',
        Swipe(1, 2, 3, 4, 0.3, VideoSize(720, 1280)),
    ),
    ('{"type":"rotate"}', Rotate()),
    ('{"type":"clipboard","action":"set","text":"日本"}', WriteClipboard("日本")),
    ('{"type":"clipboard","action":"set","text":""}', WriteClipboard("")),
    ('{"type":"key","keyCode":4}', Key(4)),
    ('{"type":"key","action":"longpress","keyCode":26.0}', Key(26, KeyAction.LONG_PRESS)),
    ('{"type":"key","action":"down","keyCode":"app-switch"}', Key(187, KeyAction.DOWN)),
    ('{"type":"text","text":"日本 😀\\n"}', Text("日本 😀\n")),
    ('{"type":"text","action":"whatever","text":" "}', Text(" ")),
]


@pytest.mark.parametrize(("text", "event"), EVENTS)
def test_events(text: str, event: InputEvent) -> None:
    assert parse_control(text) == Input(event)


@pytest.mark.parametrize(("text", "event"), EVENTS)
def test_events_wrapped_as_on_the_websocket(text: str, event: InputEvent) -> None:
    assert parse_control(json.dumps({"type": "input", "event": json.loads(text)})) == Input(event)


def test_what_stands_beside_an_event() -> None:
    text = '{"type":"key","keyCode":3,"seq":7,"deviceId":"demo","sessionId":"s1","timestamp":1767225600000}'
    assert parse_control(text) == Input(Key(3), seq=7, session_id="s1", device_id="demo")


def test_the_clipboard_is_asked_for() -> None:
    text = '{"type":"clipboard","action":"get","seq":7,"deviceId":"demo","sessionId":"s1"}'
    assert parse_control(text) == ClipboardRequest(7, "s1", "demo")
    wrapped = '{"type":"input","event":{"type":"clipboard","action":"get","seq":7}}'
    assert parse_control(wrapped) == ClipboardRequest(7)


def test_the_names_of_the_contract_are_keys() -> None:
    names = ("back", "home", "app-switch", "power", "volume-up", "volume-down", "enter")
    assert [KEY_CODES[name] for name in names] == [4, 3, 187, 26, 24, 25, 66]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"type":"touch","x":1,"y":1}', "action is missing: it must be one of tap, down, move, up"),
        ('{"type":"touch","action":"press","x":1,"y":1}', 'action must be one of tap, down, move, up, not "press"'),
        ('{"type":"touch","action":"tap","y":1}', "x is missing: it must be a number from 0 to 65535"),
        ('{"type":"touch","action":"tap","x":"1","y":1}', 'x must be a number from 0 to 65535, not "1"'),
        ('{"type":"touch","action":"tap","x":true,"y":1}', "x must be a number from 0 to 65535, not true"),
        ('{"type":"touch","action":"tap","x":-1,"y":1}', "x must be a number from 0 to 65535, not -1"),
        (
            '{"type":"touch","action":"move","x":1e400,"y":1}',
            "x must be a number from -65535 to 65535, not a number beyond",
        ),
        ('{"type":"touch","action":"tap","x":Infinity,"y":1}', "Infinity is no JSON number"),
        (
            '{"type":"touch","action":"tap","x":721,"y":1,"width":720,"height":9}',
            "x must be a number from 0 to 720, not 721",
        ),
        ('{"type":"touch","action":"tap","x":1,"y":1,"width":720}', "height is missing: it must be an integer from 1"),
        (
            '{"type":"touch","action":"tap","x":1,"y":1,"width":0,"height":9}',
            "width must be an integer from 1 to 65535, not 0",
        ),
        (
            '{"type":"touch","action":"tap","x":1,"y":1,"pointerId":-1}',
            "pointerId must be an integer from 0 to 2147483647",
        ),
        (
            '{"type":"touch","action":"tap","x":1,"y":1,"seq":1.5}',
            "seq must be an integer from 0 to 9007199254740991, not 1.5",
        ),
        ('{"type":"key"}', "keyCode is missing: it must be an integer from 1 to 999"),
        ('{"type":"key","keyCode":0}', "keyCode must be an integer from 1 to 999, not 0"),
        ('{"type":"key","keyCode":"any"}', "keyCode must be one of home, back, dpad-up"),
        ('{"type":"key","keyCode":4,"action":"tap"}', 'action must be one of press, longpress, down, up, not "tap"'),
        ('{"type":"text","text":""}', "text must be a string of 1 to 4096 characters, not a string of 0 characters"),
        ('{"type":"text","text":"\\ud83d"}', "text must be Unicode, it has half of a surrogate pair"),
        ('{"type":"sound","action":"mute"}', 'action must be one of on, off, not "mute"'),
        ('{"type":"quality","level":"best"}', "level must be one of auto, source, 1080p, 720p, 480p, 360p"),
        (
            '{"type":"touch","action":"tap","x":1,"y":1,"pressure":1.1}',
            "pressure must be a number from 0 to 1, not 1.1",
        ),
        ('{"type":"scroll","x":1,"y":1,"dx":101}', "dx must be a number from -100 to 100, not 101"),
        ('{"type":"scroll","x":-1,"y":1,"dy":1}', "x must be a number from 0 to 65535, not -1"),
        ('{"type":"scroll","dy":1}', "x is missing"),
        ('{"type":"scroll","x":1,"y":1,"dy":"1"}', 'dy must be a number from -100 to 100, not "1"'),
        ('{"type":"swipe"}', "x1 is missing: it must be a number from 0 to 65535"),
        (
            '{"type":"swipe","x1":1,"y1":1,"x2":721,"y2":1,"width":720,"height":9}',
            "x2 must be a number from 0 to 720, not 721",
        ),
        (
            '{"type":"swipe","x1":1,"y1":1,"x2":1,"y2":1,"durationMs":10001}',
            "durationMs must be an integer from 1 to 10000",
        ),
        (
            '{"type":"swipe","x1":1,"y1":1,"x2":1,"y2":1,"durationMs":0}',
            "durationMs must be an integer from 1 to 10000",
        ),
        ('{"type":"clipboard"}', "action is missing: it must be one of get, set"),
        ('{"type":"clipboard","action":"set"}', "text is missing: it must be a string of 0 to 32768 characters"),
        ('{"type":"clipboard","action":"set","text":"\\ud83d"}', "text must be Unicode"),
        (
            '{"type":"dance"}',
            "type must be one of touch, key, text, scroll, swipe, clipboard, rotate, input, sound, quality, stats, "
            'not "dance"',
        ),
    ],
)
def test_what_is_wrong_is_named(text: str, wrong: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_control(text)
    assert wrong in caught.value.detail


@pytest.mark.parametrize(("action", "is_wanted"), [("on", True), ("off", False)])
def test_whether_somebody_listens(action: str, is_wanted: bool) -> None:
    assert parse_control(f'{{"type": "sound", "action": "{action}"}}') == SoundChoice(is_wanted)


def test_which_quality_is_wanted() -> None:
    text = '{"type": "quality", "level": "720p", "maxBitrate": 1500000}'
    assert parse_control(text) == QualityChoice(QualityLevel.P720, 1_500_000)
    assert parse_control('{"type": "quality", "level": "auto"}') == QualityChoice(QualityLevel.AUTO)
    text = '{"type": "quality", "level": "auto", "maxBitrate": 900000, "minBitrate": 300000, "startBitrate": 500000}'
    assert parse_control(text) == QualityChoice(QualityLevel.AUTO, 900_000, None, 300_000, 500_000)


def test_the_least_bit_rate_is_not_above_the_most() -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_control('{"type": "quality", "level": "auto", "maxBitrate": 300000, "minBitrate": 300001}')
    assert caught.value.detail == "minBitrate must be no more than maxBitrate, 300000, not 300001"


def test_the_numbers_are_asked_for_once() -> None:
    assert parse_control('{"type": "stats"}') == StatsRequest()


def test_typed_text_is_never_repeated_in_an_error() -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_control(json.dumps({"type": "text", "text": "secret" * 1000}))
    assert caught.value.detail == "text must be a string of 1 to 4096 characters, not a string of 6000 characters"


def test_what_was_copied_is_never_repeated_in_an_error() -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_control(json.dumps({"type": "clipboard", "action": "set", "text": "s" * (MAX_CLIPBOARD + 1)}))
    assert caught.value.detail == "text must be a string of 0 to 32768 characters, not a string of 32769 characters"


@settings(max_examples=200)
@given(
    st.fixed_dictionaries(
        {"type": st.just("touch"), "action": st.sampled_from(["tap", "down", "move", "up"])},
        optional={
            name: st.integers() | st.floats() | st.none() | st.text(max_size=3)
            for name in ("x", "y", "width", "height", "pointerId", "seq")
        },
    ).map(json.dumps)
)
def test_a_touch_is_within_its_video_or_refused(text: str) -> None:
    try:
        received = parse_control(text)
    except MalformedMessage:
        return
    assert isinstance(received, Input)
    touch = received.event
    assert isinstance(touch, Touch)
    limit = touch.relative_to or VideoSize(65535, 65535)
    assert 0 <= touch.x <= limit.width
    assert 0 <= touch.y <= limit.height
