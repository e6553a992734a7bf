"""The stream that is measured with, as a file of our own making: 720x1280, 30 pictures per second, 2 Mbit/s."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

_CACHE = Path(__file__).parent.parent / "build" / "benchmarks"
_NOISE_HEIGHT = 96
"""Rows of moving noise, which is what costs the bits."""
_GRAIN = 4
"""Pixels per side of one grain of noise."""


@dataclass(frozen=True, slots=True)
class ClipShape:
    """What a clip is like; equal shapes give equal files."""

    width: int = 720
    height: int = 1280
    frames_per_second: int = 30
    seconds: int = 10
    keyframe_interval: int = 300
    """Pictures from one IDR picture to the next; Android's recorder makes one every 10 s."""
    bits_per_second: int = 2_100_000

    @property
    def name(self) -> str:
        digest = hashlib.sha256(repr(self).encode() + Path(__file__).read_bytes()).hexdigest()[:8]
        return f"{self.width}x{self.height}p{self.frames_per_second}-i{self.keyframe_interval}-{digest}.h264"


def make_clip(shape: ClipShape) -> Path:
    """The Annex-B file of that shape, encoded when it is not there yet."""
    path = _CACHE / shape.name
    if not path.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(b"".join(_encode(shape)))
        partial.replace(path)
    return path


def access_units(path: Path) -> list[bytes]:
    """The clip's pictures, each as its Annex-B bytes, cut by FFmpeg's own parser."""
    with av.open(str(path), format="h264") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def decode(pictures: list[tuple[bytes, ...]]) -> int:
    """Decode access units, given as their NAL units, in order; how many pictures came out.

    Raises `av.FFmpegError` for a picture that cannot be decoded.
    """
    decoder = av.CodecContext.create("h264", "r")
    decoder.options = {"err_detect": "explode"}
    decoded = 0
    for nal_units in pictures:
        packet = av.Packet(b"".join(b"\0\0\0\1" + nal_unit for nal_unit in nal_units))
        decoded += len(decoder.decode(packet))
    return decoded + len(decoder.decode(None))


def _encode(shape: ClipShape) -> list[bytes]:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = shape.width, shape.height
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = Fraction(shape.frames_per_second)
    encoder.time_base = Fraction(1, shape.frames_per_second)
    encoder.bit_rate = shape.bits_per_second
    encoder.gop_size = shape.keyframe_interval
    rate = shape.bits_per_second // 1000
    encoder.options = {
        "preset": "veryfast",
        "profile": "baseline",
        "x264-params": "scenecut=0:sliced-threads=0:slices=1:repeat-headers=1:force-cfr=1:ratetol=0.01"
        f":vbv-maxrate={rate}:vbv-bufsize={rate}:vbv-init=1",
    }
    coded = []
    for number in range(shape.seconds * shape.frames_per_second):
        frame = av.VideoFrame.from_ndarray(_picture(shape, number), format="yuv420p")
        frame.pts = number
        frame.pict_type = PictureType.NONE
        coded += [bytes(packet) for packet in encoder.encode(frame)]
    return coded + [bytes(packet) for packet in encoder.encode(None)]


def _picture(shape: ClipShape, number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A still page of detail, which makes the keyframe big, with a band of noise in it (planar YUV 4:2:0)."""
    planes = np.full((shape.height * 3 // 2, shape.width), 128, np.uint8)
    planes[: shape.height] = _noise(seed=0, height=shape.height, width=shape.width)
    top = shape.height // 3
    planes[top : top + _NOISE_HEIGHT] = _noise(seed=number, height=_NOISE_HEIGHT, width=shape.width)
    return planes


def _noise(*, seed: int, height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    coarse = np.random.default_rng(seed).integers(16, 236, (height // _GRAIN, width // _GRAIN), np.uint8)
    return coarse.repeat(_GRAIN, 0).repeat(_GRAIN, 1)
