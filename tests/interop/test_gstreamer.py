"""GStreamer's webrtcbin, decoding with its avdec_h264."""

import subprocess
from pathlib import Path

import pytest

from tests.interop.picture import Picture, assert_demo_pictures
from tests.interop.player import TIMEOUT, running_player

pytestmark = pytest.mark.asyncio(loop_scope="session")

PYTHON = "/usr/bin/python3"
PROGRAM = Path(__file__).parent / "gstreamer_player.py"
PICTURES = 20

# Bindings and elements come in packages of their own, none of which has a command.
_PROBE = """
import gi
for name in ("Gst", "GstApp", "GstSdp", "GstWebRTC"):
    gi.require_version(name, "1.0")
from gi.repository import Gst
Gst.init(None)
elements = "webrtcbin nicesrc dtlssrtpdec rtph264depay h264parse avdec_h264 appsink".split()
raise SystemExit(" ".join(name for name in elements if Gst.ElementFactory.find(name) is None) or 0)
"""


@pytest.fixture(scope="module")
def python_with_gstreamer() -> str:
    """Debian's Python, which GStreamer's bindings are packaged for."""
    if not Path(PYTHON).exists():
        pytest.skip(f"no {PYTHON}")
    probe = subprocess.run([PYTHON, "-c", _PROBE], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if probe.returncode:
        pytest.skip(f"GStreamer is not complete here: {probe.stderr.strip().rpartition(chr(10))[2]}")
    return PYTHON


# Its certificate is RSA, which matters to a DTLS client: with `passive` that is us.
@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
async def test_webrtcbin_shows_the_phone(python_with_gstreamer: str, endpoint: str, setup: str) -> None:
    async with running_player([python_with_gstreamer, str(PROGRAM), endpoint, str(PICTURES), setup]) as player:
        assert_demo_pictures([Picture.of_event(await player.until("picture")) for _ in range(PICTURES)])
        assert (await player.until("left"))["status"] == 200
        assert await player.ended() == 0
