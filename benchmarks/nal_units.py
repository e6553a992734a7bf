"""Annex-B bytes of one picture as its NAL units (H.264 annex B), the slow and obvious way."""

import re

_START_CODE = re.compile(rb"\x00\x00\x01")


def split(annex_b: bytes) -> tuple[bytes, ...]:
    """The NAL units without start codes and trailing zero bytes."""
    return tuple(nal_unit.rstrip(b"\0") for nal_unit in _START_CODE.split(annex_b)[1:])
