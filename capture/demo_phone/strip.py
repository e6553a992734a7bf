"""The strip at the bottom edge of the demo phone's screen that a program can read out of any picture of it.

Layout. Two rows of 40 cells, each cell all black (bit 0) or all white (bit 1). In a picture of width W and height H,
row r (0 the upper, 1 the lower) and column c cover

    x from W * c / 40 to W * (c + 1) / 40        y from H * (78 + r) / 80 to H * (79 + r) / 80

so a reader needs no more than the size of the picture it has, however that was scaled, and samples the centre of each
cell: x = W * (c + 0.5) / 40, y = H * (78.5 + r) / 80. A cell is 1 when it is brighter than half way between the
darkest and the brightest of all 80 samples.

The 80 bits, upper row first, left to right, are ten bytes, most significant bit first:

    byte 0      0xB2, the sync pattern
    byte 1-3    frame number: pictures drawn so far, modulo 2**24, big-endian; the first picture is 1
    byte 4-7    when it was drawn: milliseconds since 1970-01-01 UTC, modulo 2**32, big-endian
    byte 8      touches so far (fingers that went down), modulo 256
    byte 9      CRC-8 of bytes 0-8: polynomial x^8 + x^2 + x + 1 (0x07), start value 0, not reflected

In JavaScript the time is compared as `(Date.now() - drawnAt) >>> 0`, which is right modulo 2**32.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

COLUMNS = 40
ROWS = 2
PICTURE_ROWS = 80
"""The picture's height in strip rows: the strip is the last two."""

SYNC = 0xB2
BLACK, WHITE = 16, 235  # luma of video range
_LEAST_CONTRAST = 40

Luma = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Strip:
    """What the strip of one picture says."""

    frame_number: int
    """Pictures drawn so far, modulo 2**24."""
    drawn_at: int
    """Milliseconds since the epoch, modulo 2**32."""
    touches: int
    """Touches so far, modulo 256."""


def crc8(data: bytes) -> int:
    """CRC-8 with polynomial 0x07, start value 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ 0x107 if crc & 0x80 else crc << 1
    return crc


def strip_top(height: int) -> int:
    """The first pixel row of the strip in a picture of `height`."""
    return height * (PICTURE_ROWS - ROWS) // PICTURE_ROWS


def encode_strip(strip: Strip) -> bytes:
    """The ten bytes of `strip`; each number is taken modulo its field's size."""
    data = (
        bytes([SYNC])
        + (strip.frame_number % (1 << 24)).to_bytes(3, "big")
        + (strip.drawn_at % (1 << 32)).to_bytes(4, "big")
        + bytes([strip.touches % 256])
    )
    return data + bytes([crc8(data)])


def decode_strip(data: bytes) -> Strip:
    """The strip that ten bytes say. Raises ValueError when sync pattern or checksum do not fit."""
    if data[0] != SYNC:
        raise ValueError(f"no strip: it begins with {data[0]:#04x}, not with {SYNC:#04x}")
    if crc8(data[:9]) != data[9]:
        raise ValueError(f"damaged strip: checksum {data[9]:#04x}, but the content has {crc8(data[:9]):#04x}")
    return Strip(int.from_bytes(data[1:4], "big"), int.from_bytes(data[4:8], "big"), data[8])


def draw_strip(luma: Luma, strip: Strip) -> None:
    """Draw `strip` over the bottom edge of a picture's luma plane."""
    height, width = luma.shape
    cells = np.unpackbits(np.frombuffer(encode_strip(strip), np.uint8)).reshape(ROWS, COLUMNS)
    edges = np.arange(COLUMNS + 1) * width // COLUMNS
    rows = np.repeat(cells * np.uint8(WHITE - BLACK) + np.uint8(BLACK), np.diff(edges), axis=1)
    middle = height * (PICTURE_ROWS - 1) // PICTURE_ROWS
    luma[strip_top(height) : middle] = rows[0]
    luma[middle:] = rows[1]


def read_strip(luma: Luma) -> Strip:
    """Read the strip of a picture, scaled and lossy as it may be, from its luma plane (or any grey version of it).

    Raises ValueError when there is no strip or it is too damaged to be trusted.
    """
    height, width = luma.shape
    samples = np.array(
        [[_sample(luma, width, height, row, column) for column in range(COLUMNS)] for row in range(ROWS)]
    )
    darkest, brightest = samples.min(), samples.max()
    if brightest - darkest < _LEAST_CONTRAST:
        raise ValueError(f"no strip: its cells differ by {brightest - darkest:.0f} in luma only")
    bits = samples > (darkest + brightest) / 2
    return decode_strip(np.packbits(bits).tobytes())


def _sample(luma: Luma, width: int, height: int, row: int, column: int) -> float:
    """The mean of the inner half of one cell."""
    left, right = _inner_half(width * column / COLUMNS, width * (column + 1) / COLUMNS)
    first_row = PICTURE_ROWS - ROWS + row
    top, bottom = _inner_half(height * first_row / PICTURE_ROWS, height * (first_row + 1) / PICTURE_ROWS)
    return float(luma[top:bottom, left:right].mean())


def _inner_half(start: float, end: float) -> tuple[int, int]:
    quarter = (end - start) / 4
    first = int(start + quarter)
    return first, max(first + 1, int(end - quarter))
