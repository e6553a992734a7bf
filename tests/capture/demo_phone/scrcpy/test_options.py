"""The arguments of scrcpy's server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.demo_phone.scrcpy.log import Level, Thrown
from capture.demo_phone.scrcpy.options import Options, parse_options
from capture.demo_phone.scrcpy.version import ServerVersion


def parse(version: str, *arguments: str) -> Options:
    return parse_options((version, *arguments), ServerVersion(version))


def test_what_is_so_when_nothing_is_asked_for() -> None:
    assert parse("3.3.4") == Options()


def test_all_that_matters() -> None:
    options = parse(
        "3.3.4",
        *"scid=0042abcd log_level=warn video=false audio=false control=false tunnel_forward=true max_size=1287".split(),
        *"video_bit_rate=2000000 audio_bit_rate=64000 max_fps=30.5 audio_codec=raw send_codec_meta=false".split(),
        *"send_device_meta=false send_frame_meta=FALSE send_dummy_byte=no cleanup=True list_encoders=true".split(),
    )
    assert options == Options(
        scid=0x42ABCD,
        log_level=Level.WARN,
        video=False,
        audio=False,
        control=False,
        tunnel_forward=True,
        max_size=1280,
        video_bit_rate=2_000_000,
        audio_bit_rate=64_000,
        max_fps=30.5,
        audio_codec="raw",
        send_stream_meta=False,
        send_device_meta=False,
        send_frame_meta=False,
        send_dummy_byte=False,
        cleanup=True,
        list_encoders=True,
    )


@pytest.mark.parametrize(
    ("key", "versions"),
    [
        ("send_codec_meta=false", ("3.0", "3.3.4")),
        ("send_stream_meta=false", ("4.0", "4.1")),
        ("min_size_alignment=8", ("4.0", "4.1")),
        ("ignore_video_encoder_constraints=true", ("4.1",)),
        ("camera_zoom=2", ("4.0", "4.1")),
        ("nonsense=1", ()),
    ],
)
def test_a_key_that_a_version_does_not_know_is_passed_over(key: str, versions: tuple[str, ...]) -> None:
    known = [v for v in ("3.0", "3.3.4", "4.0", "4.1") if not parse(v, key).unknown]
    assert tuple(known) == versions


def test_the_largest_size_is_rounded_before_4() -> None:
    assert [parse(version, "max_size=1023").max_size for version in ("3.0", "3.3.4", "4.0", "4.1")] == [
        1016,
        1016,
        1023,
        1023,
    ]


def test_a_raw_stream_has_no_metadata() -> None:
    options = parse("4.1", "raw_stream=true")
    assert not (options.send_device_meta)
    assert not (options.send_frame_meta)
    assert not (options.send_dummy_byte)
    assert not options.send_stream_meta


def test_another_version_than_the_clients_is_refused() -> None:
    with pytest.raises(Thrown, match=r"^The server version \(3.3.4\) does not match the client \(3.3.3\)$"):
        parse_options(("3.3.3",), ServerVersion("3.3.4"))
    with pytest.raises(Thrown, match="Missing client version"):
        parse_options((), ServerVersion("3.3.4"))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("audio", 'Invalid key=value pair: "audio"'),
        ("scid=-2", "scid may not be negative (except -1 for 'none'): -2"),
        ("scid=80000000", 'For input string: "80000000" under radix 16'),
        ("max_size=big", 'For input string: "big"'),
        ("video_bit_rate=3000000000", 'For input string: "3000000000"'),
        ("max_fps=fast", 'Invalid float value for max_fps: "fast"'),
        ("video_codec=vp8", "Video codec vp8 not supported"),
        ("audio_codec=mp3", "Audio codec mp3 not supported"),
        ("video_source=window", "Video source window not supported"),
        ("log_level=loud", "No enum constant com.genymobile.scrcpy.util.Ln.Level.LOUD"),
        ("min_size_alignment=3", "min_size_alignment (3) must be 1, 2, 4, 8 or 16"),
    ],
)
def test_what_is_refused(argument: str, message: str) -> None:
    with pytest.raises(Thrown) as caught:
        parse("4.1", argument)
    assert caught.value.message == message


def test_what_the_demo_phone_has_nothing_for_is_named() -> None:
    options = parse("3.3.4", "crop=", "crop=1:2:3:4", "new_display=", "angle=0", "show_touches=true")
    assert options.not_emulated == ("crop", "new_display")


@given(st.lists(st.text(max_size=30), max_size=5), st.sampled_from(["3.0", "4.1"]))
def test_any_other_arguments_are_taken_or_refused(arguments: list[str], version: str) -> None:
    try:
        parse(version, *arguments)
    except Thrown:
        pass


@given(st.sampled_from(["scid", "max_size", "max_fps", "video_codec", "log_level", "video"]), st.text(max_size=12))
def test_any_value_is_taken_or_refused(key: str, value: str) -> None:
    try:
        parse("4.1", f"{key}={value}")
    except Thrown:
        pass
