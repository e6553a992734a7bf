"""What is read out of a phone's words on itself, and how a phone that keeps silent is taken."""

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.adb.client import AdbClient
from capture.demo_phone.phone import PhoneSpec
from capture.errors import AdbTimeout, DeviceNotFound
from capture.input_events import VideoSize
from capture.probe import (
    PhoneFacts,
    RecorderFacts,
    facts_of,
    parse_h264_encoders,
    parse_properties,
    parse_recorder,
    parse_sdk,
    probe,
)
from tests.capture.adb.connected_phone import connected_phone
from tests.capture.adb.fake_server import FakeAdbServer, fail, okay, packet, until_closed
from tests.capture.android_dumps import ALL, ANDROID_14, Dumps

SERIAL = "127.0.0.1:5555"

PROPERTIES = """\
[init.svc.bootanim]: [stopped]
[persist.sys.note]: [two
lines]
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.empty]: []
[ro.product.cpu.abilist]: [x86_64,arm64-v8a]
[ro.product.model]: [redroid14 [x86_64]]
[sys.boot_completed]: [1]
"""

ENCODERS = """\
Decoder infos by media types:
=============================

Media type 'video/avc':
  Decoder "c2.android.avc.decoder" supports
    aliases: [
      "OMX.google.h264.decoder" ]

Encoder infos by media types:
=============================

Media type 'audio/mp4a-latm':
  Encoder "c2.android.aac.encoder" supports
    aliases: [
      "OMX.google.aac.encoder" ]

Media type 'video/avc':
  Encoder "c2.qti.avc.encoder" supports
    aliases: [
      "OMX.qcom.video.encoder.avc" ]
    attributes: 0xb: [
      encoder: 1,
      vendor: 1,
      software-only: 0,
      hw-accelerated: 1 ]
    owner: "codec2::default"
  Encoder "c2.android.avc.encoder" supports
    owner: "codec2::software"

Media type 'video/hevc':
  Encoder "c2.qti.hevc.encoder" supports
"""

NO_H264 = ENCODERS.partition("Media type 'video/avc':\n  Encoder")[0]

HELP = """\
Usage: screenrecord [options] <filename>

Android screenrecord v1.{minor}.  Records the device's display to a .mp4 file.

Options:
--size WIDTHxHEIGHT
    Set the video size, e.g. "1280x720".  Default is the device's main
    display resolution (if supported), 1280x720 if not.  For best results,
    use a size supported by the AVC encoder.
--bit-rate RATE
    Set the video bit rate, in bits per second.  Value may be specified as
    bits or megabits, e.g. '4000000' is equivalent to '4M'.  Default 20Mbps.
--bugreport
    Add additional information, such as a timestamp overlay, that is helpful
    in videos captured to illustrate bugs.
--time-limit TIME
    Set the maximum recording time, in seconds.  {limit}
--verbose
    Display interesting information on stdout.
--help
    Show this message.

Recording continues until Ctrl-C is hit or the time limit is reached.

"""

HELP_7 = HELP.format(minor=2, limit="Default / maximum is 180.")
HELP_13 = HELP.format(minor=3, limit="Default / maximum is 180.").replace(
    "--verbose", "--display-id ID\n    specify the physical display ID to record. Default is the primary.\n--verbose"
)
HELP_14 = HELP.format(minor=4, limit="Default is 180. Set to 0\n    to remove the time limit.")
NO_NAME = "Must specify output file (see --help).\n"


def test_properties() -> None:
    properties = parse_properties(PROPERTIES.replace("\n", "\r\n"))
    assert properties["ro.build.version.sdk"] == "34"
    assert properties["persist.sys.note"] == "two\nlines"
    assert properties["ro.empty"] == ""
    assert properties["ro.product.model"] == "redroid14 [x86_64]"


@pytest.mark.parametrize(
    ("text", "encoders"),
    [
        (ENCODERS, ("c2.qti.avc.encoder", "c2.android.avc.encoder")),
        (NO_H264, ()),
        ("Decoder infos by media types:\n====\n\nEncoder infos by media types:\n====\n", ()),
        (ENCODERS.partition("\nEncoder infos")[0], None),
        (" Client\n  pid(3251), connId(7)\n", None),
        ("Permission Denial: can't dump MediaPlayerService from pid=1, uid=2000\n", None),
        ("Can't find service: media.player\n", None),
        ("", None),
    ],
    ids=["two", "no-h264", "empty-list", "decoders-only", "android-7", "denied", "no-service", "silent"],
)
def test_encoders(text: str, encoders: tuple[str, ...] | None) -> None:
    assert parse_h264_encoders(text) == encoders
    assert parse_h264_encoders(text.replace("\n", "\r\n")) == encoders


@pytest.mark.parametrize(
    ("text", "sdk", "facts"),
    [
        (HELP_7 + NO_NAME, 24, RecorderFacts(True, True, 180)),
        (HELP_13 + NO_NAME, 33, RecorderFacts(True, True, 180)),
        (HELP_14 + NO_NAME, 34, RecorderFacts(True, True, None)),
        (HELP_14 + NO_NAME, 33, RecorderFacts(True, True, None)),
        (HELP_13 + "Unknown format 'raw-frames'\n", 34, RecorderFacts(True, False, 180)),
        ("--size WxH\n" + NO_NAME, 34, RecorderFacts(True, True, None)),
        ("--size WxH\n", 33, RecorderFacts(True, False, 180)),
        ("/system/bin/sh: screenrecord: inaccessible or not found\n" * 2, 34, RecorderFacts(exists=False)),
        ("/system/bin/sh: screenrecord: not found\n" * 2, 24, RecorderFacts(exists=False)),
    ],
)
def test_recorders(text: str, sdk: int, facts: RecorderFacts) -> None:
    assert parse_recorder(text, sdk) == facts


@pytest.mark.parametrize(("text", "sdk"), [("33", 33), (" 34\n", 34), ("", 0), ("VanillaIceCream", 0), ("٣٣", 0)])
def test_api_levels(text: str, sdk: int) -> None:
    assert parse_sdk(text) == sdk


@pytest.mark.parametrize("dumps", ALL.values(), ids=ALL.keys())
def test_all_together(dumps: Dumps) -> None:
    facts = facts_of(PROPERTIES, ENCODERS, HELP_14 + NO_NAME, "Physical size: 1080x2400\n", dumps.turned)
    assert facts == PhoneFacts(
        sdk=34,
        release="14",
        model="redroid14 [x86_64]",
        abis=("x86_64", "arm64-v8a"),
        h264_encoders=("c2.qti.avc.encoder", "c2.android.avc.encoder"),
        recorder=RecorderFacts(True, True, None),
        screen=VideoSize(1080, 2400),
        rotation=1,
        has_booted=True,
    )
    assert facts.is_64_bit_only


def test_the_window_manager_tells_the_size_too() -> None:
    for displays in (ANDROID_14.displays, ANDROID_14.turned):
        assert facts_of("", "", "", "Error: no window service", displays).screen == VideoSize(1080, 2400)


def test_32_bit_phones_and_silent_ones() -> None:
    both = facts_of("[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a,armeabi]", "", "", "", "")
    old = facts_of("[ro.product.cpu.abi]: [armeabi-v7a]", "", "", "", "")
    silent = facts_of("", "", "", "", "")
    assert (both.is_64_bit_only, old.is_64_bit_only, silent.is_64_bit_only) == (False, False, False)
    assert silent == PhoneFacts(has_booted=False)


NOISE = st.text(max_size=200) | st.lists(
    st.sampled_from(
        "[a]: [b]|[|]: [|]|\n|Media type 'video/avc':|  Encoder \"x\" supports|Encoder infos by media types:|--size|"
        "--time-limit|--|0|output file|Unknown format|Physical size: 1x2|[ro.build.version.sdk]: [33]|\r\n".split("|")
    ),
    max_size=30,
).map("".join)


@given(NOISE, NOISE, NOISE, NOISE, NOISE)
def test_any_output_gives_facts(properties: str, player: str, recorder: str, size: str, displays: str) -> None:
    facts = facts_of(properties, player, recorder, size, displays)
    assert facts.sdk >= 0
    assert facts.rotation in range(4)
    assert facts.screen is None or min(facts.screen.width, facts.screen.height) > 0


# Asking


class Phone:
    """Answers the probe's commands, all at once or not at all."""

    def __init__(self, adb: FakeAdbServer) -> None:
        self.answers = {
            "getprop": PROPERTIES,
            "dumpsys media.player": ENCODERS,
            "screenrecord": HELP_14 + NO_NAME,
            "wm size": "Physical size: 1080x2400\n",
            "dumpsys window displays": ANDROID_14.displays,
            "dumpsys SurfaceFlinger": "  activeMode={id=0, resolution=1080x2400, dpi=420.00x420.00}\n",
        }
        self.hangs: tuple[str, ...] = ()
        adb.on("host-serial:", okay(b"shell_v2"))
        for name in self.answers:
            adb.on(f"shell,v2,raw:{name}", partial(self._answer, name))

    async def _answer(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"OKAY")
        if name in self.hangs:
            await until_closed(reader)
        else:
            stream = 2 if name == "screenrecord" else 1
            writer.write(packet(stream, self.answers[name].encode()) + packet(3, b"\0"))
            await writer.drain()


@pytest.fixture
def phone(fake_adb: FakeAdbServer) -> Phone:
    return Phone(fake_adb)


async def test_a_probe_asks_once_for_each_thing(phone: Phone, fake_adb: FakeAdbServer) -> None:
    facts = await probe(AdbClient(port=fake_adb.port), SERIAL)
    assert facts.sdk == 34
    assert facts.recorder == RecorderFacts(True, True, None)
    assert facts.screen == VideoSize(1080, 2400)
    assert len(fake_adb.asked) == len(phone.answers)  # The device's features come first; the last was not needed.


async def test_a_phone_without_its_services_yet(phone: Phone, fake_adb: FakeAdbServer) -> None:
    phone.answers |= {"wm size": "cmd: Can't find service: window\n", "dumpsys window displays": ""}
    assert (await probe(AdbClient(port=fake_adb.port), SERIAL)).screen == VideoSize(1080, 2400)


async def test_services_that_hang_are_left_unknown(phone: Phone, fake_adb: FakeAdbServer) -> None:
    phone.hangs = tuple(name for name in phone.answers if name != "getprop")
    facts = await probe(AdbClient(port=fake_adb.port), SERIAL, timeout=0.2)
    assert (facts.model, facts.sdk, facts.has_booted) == ("redroid14 [x86_64]", 34, True)
    assert (facts.h264_encoders, facts.screen, facts.recorder) == (None, None, RecorderFacts())


async def test_a_phone_that_answers_nothing(phone: Phone, fake_adb: FakeAdbServer) -> None:
    phone.hangs = tuple(phone.answers)
    with pytest.raises(AdbTimeout, match=SERIAL):
        await probe(AdbClient(port=fake_adb.port), SERIAL, timeout=0.05)


async def test_a_phone_that_nobody_knows(phone: Phone, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("host-serial:", fail(b"device 'x' not found"))
    with pytest.raises(DeviceNotFound):
        await probe(AdbClient(port=fake_adb.port), SERIAL)


@pytest.mark.adb
@pytest.mark.parametrize(("sdk", "limit"), [(28, 180), (33, 180), (34, None)])
async def test_the_demo_phone_is_understood(adb_client: AdbClient, sdk: int, limit: int | None) -> None:
    spec = PhoneSpec(width=360, height=640, sdk=sdk)
    async with connected_phone(adb_client, spec) as phone:
        phone.rotate(1)
        facts = await probe(adb_client, phone.address)
    assert facts.sdk == sdk
    assert facts.model == spec.model
    assert facts.recorder == RecorderFacts(True, True, limit)
    assert (facts.screen, facts.rotation) == (VideoSize(360, 640), 1)
    assert facts.has_booted
    assert facts.h264_encoders or (sdk < 29 and facts.h264_encoders is None)


@pytest.mark.adb
async def test_a_demo_phone_without_an_encoder_and_one_that_boots(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client, PhoneSpec(width=360, height=640)) as phone:
        phone.faults.no_encoder = True
        assert (await probe(adb_client, phone.address)).h264_encoders == ()
        phone.is_booting = True
        facts = await probe(adb_client, phone.address)
    assert not facts.has_booted
    assert facts.screen == VideoSize(360, 640)
