"""screenrecord's options."""

import pytest

from capture.demo_phone.recording import HelpWanted, RecordingOptions, UsageError, parse_options

ANDROID_13, ANDROID_14 = 33, 34


def options(line: str, sdk: int = ANDROID_13) -> RecordingOptions:
    return parse_options(tuple(line.split()), sdk)


def test_defaults_are_androids() -> None:
    assert options("/sdcard/a.mp4") == RecordingOptions("/sdcard/a.mp4", None, 20_000_000, 180, "mp4")


def test_everything_given() -> None:
    line = "--output-format=h264 --size 360x640 --bit-rate 4M --time-limit=30 --verbose -"
    assert options(line) == RecordingOptions("-", (360, 640), 4_000_000, 30, "h264")
    assert options("--bit-rate 4000000 -").bit_rate == 4_000_000


def test_the_time_limit_may_go_from_android_14_on() -> None:
    assert options("--time-limit 0 -", ANDROID_14).time_limit is None
    assert options("--time-limit 3600 -", ANDROID_14).time_limit == 3600
    assert options("-", ANDROID_14).time_limit == 180


@pytest.mark.parametrize(
    ("line", "sdk", "problem"),
    [
        ("", ANDROID_13, "Must specify output file (see --help)."),
        ("a b", ANDROID_13, "Must specify output file (see --help)."),
        ("--size 720 -", ANDROID_13, "Invalid size '720', must be width x height"),
        ("--size 0x0 -", ANDROID_13, "Invalid size 0x0, width and height may not be zero"),
        ("--bit-rate 4K -", ANDROID_13, "Unrecognized value: 4K"),
        ("--bit-rate 10 -", ANDROID_13, "Bit rate 10bps outside acceptable range [100000,200000000]"),
        ("--time-limit 181 -", ANDROID_13, "Time limit 181s outside acceptable range [1,180]"),
        ("--time-limit 0 -", ANDROID_13, "Time limit 0s outside acceptable range [1,180]"),
        ("--time-limit x -", ANDROID_14, "Error parsing time limit argument"),
        ("--time-limit -1 -", ANDROID_14, "Time limit -1s outside acceptable range [0,4294967295] seconds"),
        ("--output-format=avi -", ANDROID_13, "Unknown format 'avi'"),
        ("--frame-rate 30 -", ANDROID_13, "screenrecord: unknown option -- frame-rate"),
        ("- --size", ANDROID_13, "screenrecord: option requires an argument -- size"),
        ("-x -", ANDROID_13, "screenrecord: unknown option -- x"),
    ],
)
def test_what_is_refused(line: str, sdk: int, problem: str) -> None:
    with pytest.raises(UsageError) as refused:
        options(line, sdk)
    assert str(refused.value) == problem
    assert refused.value.exit_code == 2


def test_help_says_the_limits() -> None:
    with pytest.raises(HelpWanted, match="maximum is 180"):
        options("--help")
    with pytest.raises(HelpWanted, match="Set to 0"):
        options("--help", ANDROID_14)


def test_displays_are_chosen_from_android_10_on() -> None:
    for sdk, is_told in ((28, False), (29, True)):
        with pytest.raises(HelpWanted) as wanted:
            options("--help", sdk)
        assert ("--display-id ID\n" in str(wanted.value)) == is_told
