"""JavaScript that looks at the viewer page, for tests and benchmarks with a real browser."""

from pathlib import Path

_STRIP = Path(__file__).parent.parent / "capture" / "demo_phone" / "strip.js"
_INSTRUMENTS = Path(__file__).parent / "instruments.js"


def instruments() -> str:
    """An ES module that gives the page `viewer`, `video`, `strip`, `inbound`, `until`, `join`, `tap` and `delays`."""
    return _STRIP.read_text().replace("export function", "function") + _INSTRUMENTS.read_text()
