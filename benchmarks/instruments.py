"""JavaScript that looks at the viewer page, for tests and benchmarks with a real browser."""

from pathlib import Path

_STRIP = Path(__file__).parent.parent / "capture" / "demo_phone" / "strip.js"
_INSTRUMENTS = Path(__file__).parent / "instruments.js"


def strip_reader() -> str:
    """JavaScript with the function that reads the strip out of a video, for a module of one's own."""
    return _STRIP.read_text().replace("export function", "function")


def instruments() -> str:
    """An ES module that gives the page the functions at its end."""
    return strip_reader() + _INSTRUMENTS.read_text()
