"""The coded pictures of a file, without decoding any: raw H.264 (annex B), or a container that FFmpeg reads."""

from __future__ import annotations  # av.Packet is generic for type checkers only

import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer

from capture.errors import InvalidSource, SourceEnded
from encoders.access_unit import AccessUnit
from encoders.annexb import AnnexBParser, picture_nal_units
from encoders.errors import BitstreamError
from encoders.h264 import NalUnitType, SequenceParameterSet, nal_unit_type
from encoders.parameter_sets import ParameterSets

_READ_SIZE: Final = 64 * 1024

_SEARCHED_PICTURES: Final = 3000
"""How many pictures may come before the first keyframe, so that opening a film of hours ends soon."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 10.0
"""Seconds; any other one is a break in the file's clock. There, and at the end, a picture lasts as the one before."""

_USUAL_FRAME_RATE: Final = 30.0


@dataclass(frozen=True, slots=True)
class ClipPicture:
    """One coded picture of a clip."""

    nal_units: tuple[bytes, ...]

    is_keyframe: bool

    duration: float
    """Seconds until the next picture."""


def read_clip(path: Path, frame_rate: float | None) -> Generator[ClipPicture, None, None]:
    """The pictures of one pass through the file, from its first keyframe on; keyframes carry SPS and PPS.

    `frame_rate` is for raw H.264, which has no timestamps; None takes the rate that its SPS says, or 30. A container's
    own timestamps count: those of decoding, which are the same as those of showing where nothing is reordered.

    Raises `SourceEnded` for a file that cannot be read or has no H.264 video that decoding could start at, and
    `InvalidSource` for a container with a `frame_rate`.
    """
    try:
        if not path.exists():
            raise SourceEnded(f"{path} does not exist")
        if not path.is_file():
            raise SourceEnded(f"{path} is not a file")
        pictures = _annexb_pictures(path, frame_rate) if _is_annexb(path) else _container_pictures(path, frame_rate)
        with closing(pictures):
            yield from _from_first_keyframe(path, pictures)
    except (av.InvalidDataError, av.EOFError) as error:  # what FFmpeg says of an empty or an unknown file
        raise SourceEnded(f"{path} is neither raw H.264 (annex B) nor a sound MP4, MKV or other container") from error
    except (OSError, av.FFmpegError) as error:
        raise SourceEnded(f"{path} cannot be read: {error.strerror}") from error
    except BitstreamError as error:
        raise SourceEnded(f"{path} is no H.264 that can be played: {error}") from error


def _from_first_keyframe(path: Path, pictures: Iterator[ClipPicture]) -> Iterator[ClipPicture]:
    skipped = 0
    for picture in pictures:
        if picture.is_keyframe:
            yield picture
            yield from pictures
            return
        skipped += 1
        if skipped == _SEARCHED_PICTURES:
            break
    if not skipped:
        raise SourceEnded(f"{path} has no H.264 picture")
    raise SourceEnded(f"{path} has no keyframe (IDR picture) among its first {skipped} pictures to begin with")


def _is_annexb(path: Path) -> bool:
    """Whether the file begins with a start code and a NAL unit header, whose first bit is zero in H.264."""
    with path.open("rb") as file:
        return re.match(rb"\x00{2,3}\x01[\x00-\x7f]", file.read(5)) is not None


def _annexb_pictures(path: Path, frame_rate: float | None) -> Generator[ClipPicture, None, None]:
    parameter_sets = ParameterSets()
    for access_unit in _annexb_access_units(path):
        complete = parameter_sets.complete(access_unit)
        duration = 1 / (frame_rate or _stated_frame_rate(parameter_sets.sps))
        yield ClipPicture(complete.nal_units, complete.is_keyframe, duration)


def _annexb_access_units(path: Path) -> Iterator[AccessUnit]:
    parser = AnnexBParser()
    with path.open("rb") as file:
        while data := file.read(_READ_SIZE):
            yield from parser.feed(data, 0.0)
    yield from parser.flush()


def _stated_frame_rate(sps: SequenceParameterSet | None) -> float:
    """What the SPS says, unless that is nothing or nonsense."""
    if sps is None or sps.frame_rate is None or not 1 <= sps.frame_rate <= 240:
        return _USUAL_FRAME_RATE
    return sps.frame_rate


def _container_pictures(path: Path, frame_rate: float | None) -> Generator[ClipPicture, None, None]:
    # Neither an odd name nor a playlist must lead FFmpeg to other machines.
    options = {"protocol_whitelist": "file"}
    with av.open(str(path.absolute()), options=options, metadata_errors="replace") as container:
        if container.format.name == "h264":  # text before the first start code, perhaps
            yield from _annexb_pictures(path, frame_rate)
            return
        if frame_rate is not None:
            raise InvalidSource(f"fps is for raw H.264 only, {path} ({container.format.long_name}) has its own timing")
        parameter_sets = ParameterSets()
        packets = _annexb_packets(path, container)
        packet = next(packets, None)
        duration = 1 / _USUAL_FRAME_RATE
        while packet is not None:
            following = next(packets, None)
            duration = _duration(packet, following, duration)
            nal_units = picture_nal_units(bytes(packet))
            is_keyframe = any(nal_unit_type(nal) is NalUnitType.IDR_SLICE for nal in nal_units)
            complete = parameter_sets.complete(AccessUnit(nal_units, 0.0, is_keyframe))
            if nal_units:
                yield ClipPicture(complete.nal_units, is_keyframe, duration)
            packet = following


def _annexb_packets(path: Path, container: InputContainer) -> Iterator[av.Packet[Any]]:
    """The packets of the first H.264 track, a picture each, in the byte stream format."""
    # A track of a codec that FFmpeg does not know has no codec context.
    codecs = [getattr(stream.codec_context, "name", "an unknown codec") for stream in container.streams]
    if "h264" not in codecs:
        raise SourceEnded(f"{path} has no H.264 video, only {', '.join(codecs) or 'nothing'}")
    stream = container.streams[codecs.index("h264")]
    annexb = BitStreamFilterContext("h264_mp4toannexb", stream)
    for packet in container.demux(stream):
        for filtered in annexb.filter(packet):
            if filtered.size:
                yield filtered


def _duration(packet: av.Packet[Any], following: av.Packet[Any] | None, usual: float) -> float:
    """Seconds until the following packet, or the usual ones: some containers claim durations of a tick or none."""
    start, end = _decoded_at(packet), _decoded_at(following) if following else None
    if start is not None and end is not None:
        pause = float((end - start) * packet.time_base)
        if _SHORTEST_PAUSE <= pause <= _LONGEST_PAUSE:
            return pause
    return usual


def _decoded_at(packet: av.Packet[Any]) -> int | None:
    return packet.pts if packet.dts is None else packet.dts
