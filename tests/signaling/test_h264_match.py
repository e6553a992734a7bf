"""The choice among offered H.264 payload types."""

from dataclasses import replace

import pytest

from encoders.h264 import SequenceParameterSet
from signaling.h264_match import choose_format, playable_profiles, why_not_as_it_is
from signaling.jsep import H264Format

CHROMIUM = ("42001f", "42e01f", "4d001f", "f4001f")


def formats(profiles: tuple[str, ...]) -> list[H264Format]:
    return [H264Format(96 + number, profile, True, (), None) for number, profile in enumerate(profiles)]


@pytest.mark.parametrize(
    ("offered", "stream", "chosen", "reason"),
    [
        (CHROMIUM, "42c01f", "42e01f", "42e01f (constrained baseline): the same profile as the stream's 42c01f"),
        (CHROMIUM, "42001e", "42001f", "the same profile as the stream's 42001e (baseline)"),
        (CHROMIUM, "4d401f", "4d001f", "the same profile as the stream's 4d401f (main)"),
        (("640032", "4d0032"), "4d4032", "4d0032", "the same profile"),
        (("4d001f", "64001f"), "42e01f", "4d001f", "a profile that contains the stream's 42e01f"),
        (("640c1f", "64001f", "42e01f"), "64081f", "64001f", "a profile that contains the stream's 64081f"),
        (("42e01f", "64001f"), "4d001f", "64001f", "a profile that contains the stream's 4d001f (main)"),
        (CHROMIUM, "640033", "4d001f", "nothing that was offered contains the stream's 640033 (high)"),
        (("42e01f",), "640033", "42e01f", "nothing that was offered contains the stream's 640033 (high)"),
        (("4d001f", "42e01f"), "42001f", "42e01f", "nothing that was offered contains the stream's 42001f (baseline)"),
        (("f4001f",), "64001f", "f4001f", "no usual profile was offered"),
        (CHROMIUM, "6e001f", "f4001f", "a profile that contains the stream's 6e001f (high 10)"),
        (CHROMIUM, "7a001f", "f4001f", "a profile that contains the stream's 7a001f (high 4:2:2)"),
        (CHROMIUM, "f4001f", "f4001f", "the same profile as the stream's f4001f"),
        (
            ("64001f", "42e01f"),
            "6e001f",
            "42e01f",
            "the stream's 6e001f (high 10) has to be coded anew for this browser",
        ),
        (("4d001f", "42001f"), "7a001f", "42001f", "has to be coded anew"),
        (("64001f",), "58001f", "64001f", "the stream's 58001f (extended) has to be coded anew"),
        (("ff001f", "42e01f"), "fe001f", "42e01f", "the stream's fe001f (no known profile) has to be coded anew"),
        (("ff001f",), "42e01f", "ff001f", "no usual profile was offered"),
    ],
)
def test_the_profile(offered: tuple[str, ...], stream: str, chosen: str, reason: str) -> None:
    one, why = choose_format(formats(offered), stream)
    assert one.profile_level_id == chosen
    assert reason in why


def test_a_level_that_holds_the_stream_is_preferred() -> None:
    offered = formats(("42e01f", "42e033", "42e034"))
    assert choose_format(offered, "42e01e")[0].profile_level_id == "42e01f"
    assert choose_format(offered, "42e033")[0].profile_level_id == "42e033"


def test_a_level_that_is_too_low_is_said() -> None:
    one, why = choose_format(formats(("42e00a", "42e01f")), "42e033")
    assert one.profile_level_id == "42e01f"
    assert why.endswith("; its level 5.1 is above the offered 3.1, which decoders take too")


@pytest.mark.parametrize("level_1b", ["42f00b", "640009"])
def test_level_1b_is_above_1_and_below_1_1(level_1b: str) -> None:
    prefix = level_1b[:2] + "00"
    offered = formats((f"{prefix}0a", f"{prefix}0c"))
    assert choose_format(offered, level_1b)[0].profile_level_id == f"{prefix}0c"
    assert "its level 1.05 is above the offered 1" in choose_format(offered[:1], level_1b)[1]


def test_of_equals_the_first_offered_wins() -> None:
    assert choose_format(formats(("42e01f", "42c01f")), "42e01f")[0].payload_type == 96


def stream(profile_level_id: str) -> SequenceParameterSet:
    profile_idc, constraint_flags, level_idc = bytes.fromhex(profile_level_id)
    return SequenceParameterSet(0, profile_idc, constraint_flags, level_idc, 720, 1280, 2, 0, None)


@pytest.mark.parametrize("profile_level_id", ["42c01f", "42001f", "4d4028", "640033", "640c1f", "64081f"])
@pytest.mark.parametrize("offered", [("42e01f",), CHROMIUM, ("ff001f",)])
def test_8_bit_420_is_shown_as_it_is(offered: tuple[str, ...], profile_level_id: str) -> None:
    assert why_not_as_it_is(offered, stream(profile_level_id)) == ""


@pytest.mark.parametrize("profile_level_id", ["6e001f", "6e101f", "7a001f", "7a101f", "f4001f", "f4101f", "2c001f"])
def test_other_colours_are_shown_only_to_who_offers_them(profile_level_id: str) -> None:
    assert why_not_as_it_is(CHROMIUM, stream(profile_level_id)) == ""
    reason = why_not_as_it_is(("42e01f", "42001f", "64001f"), stream(profile_level_id))
    assert reason.startswith(f"it is {profile_level_id} (")
    assert reason.endswith("), the browser takes constrained baseline, baseline, high")


@pytest.mark.parametrize(("wide", "narrow"), [("f4001f", "7a001f"), ("7a001f", "6e001f"), ("6e001f", "6e101f")])
def test_who_takes_a_wide_profile_takes_the_narrow_one_and_not_the_other_way(wide: str, narrow: str) -> None:
    assert why_not_as_it_is((wide,), stream(narrow)) == ""
    assert why_not_as_it_is((narrow,), stream(wide)) != ""


def test_an_unknown_profile_is_not_risked() -> None:
    assert why_not_as_it_is(CHROMIUM, stream("76001f")).startswith(
        "it is 76001f (no known profile), the browser takes "
    )
    assert why_not_as_it_is(("fe001f",), stream("6e001f")).endswith("the browser takes no known profile")


def test_interlace_is_not_shown_as_it_is() -> None:
    assert why_not_as_it_is(CHROMIUM, replace(stream("64001f"), frame_mbs_only=False)) == (
        "it is interlaced, which browsers do not show"
    )


def test_what_a_browser_takes_is_listed_once() -> None:
    assert playable_profiles(formats(("42e01f", "64001f", "42e01f"))) == ("42e01f", "64001f")
