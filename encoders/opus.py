"""What an Opus packet says about itself (RFC 6716)."""

from typing import Final

from encoders.errors import BitstreamError

LONGEST_PACKET: Final = 0.120
"""Seconds: no packet holds more (RFC 6716 section 3.2.5, requirement R5)."""

_SILK: Final = (480, 960, 1920, 2880)
_HYBRID: Final = (480, 960)
_CELT: Final = (120, 240, 480, 960)
_SAMPLES_PER_FRAME: Final = 3 * _SILK + 2 * _HYBRID + 4 * _CELT
"""At 48 kHz, by the configuration number (RFC 6716 table 2)."""

_SAMPLE_RATE: Final = 48_000
_LONGEST_PACKET_SAMPLES: Final = round(LONGEST_PACKET * _SAMPLE_RATE)


def packet_duration(data: bytes) -> float:
    """Seconds of sound in the Opus packet `data`, by its table-of-contents byte (RFC 6716 section 3.1).

    Raises `BitstreamError` for a packet that is empty, or that promises no frame or more than 120 ms.
    """
    if not data:
        raise BitstreamError("an Opus packet has at least one byte, this one is empty")
    configuration, code = data[0] >> 3, data[0] & 0x03
    if code == 0:
        frames = 1
    elif code < 3:
        frames = 2
    elif len(data) < 2:
        raise BitstreamError("an Opus packet of code 3 has at least two bytes, this one has one")
    else:
        frames = data[1] & 0x3F
        if not frames:
            raise BitstreamError("an Opus packet of code 3 says that it has no frame: 1 to 48 are allowed")
    samples = frames * _SAMPLES_PER_FRAME[configuration]
    if samples > _LONGEST_PACKET_SAMPLES:
        raise BitstreamError(
            f"an Opus packet says that it has {frames} frames, {samples * 1000 / _SAMPLE_RATE:g} ms: "
            f"at most {LONGEST_PACKET * 1000:g} ms are allowed"
        )
    return samples / _SAMPLE_RATE
