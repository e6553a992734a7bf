"""Which Python, which libraries, and what else brings code."""

import asyncio
import platform
import re
import ssl
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import av
import av._core

from media_service.diagnosis.finding import Finding, info, warning
from media_service.diagnosis.reason import reason
from media_service.settings import Settings

AREA = "Versions"

_LIBRARIES = ("aiortc", "aiohttp", "pylibsrtp", "cryptography", "uvloop")

_LICENCES = (
    ("libx264", "GPL-2.0-or-later"),
    ("libx265", "GPL-2.0-or-later"),
    ("libopus", "BSD-3-Clause"),
)
"""Of what PyAV's wheel brings beside FFmpeg and this service may call or must pass on with it."""

_PROGRAM_TIMEOUT = 10.0


async def check(_: Settings) -> Sequence[Finding]:
    """What is installed."""
    configuration = av._core.library_meta["libavcodec"]["configuration"]
    brought = [f"{name} ({licence})" for name, licence in _LICENCES if f"--enable-{name}" in configuration.split()]
    return [
        info(
            AREA,
            f"media-service {_version('media-service')}, Python {platform.python_version()} on {platform.platform()}",
        ),
        info(AREA, f"{', '.join(f'{name} {_version(name)}' for name in _LIBRARIES)}, {ssl.OPENSSL_VERSION}"),
        info(
            AREA,
            f"PyAV {_version('av')} (BSD-3-Clause) with FFmpeg {av.ffmpeg_version_info}, "
            f"which brings {', '.join(brought)}",
        ),
        await asyncio.to_thread(_ffmpeg_program),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(none)"


def _ffmpeg_program() -> Finding:
    """Its version, which VAAPI needs."""
    try:
        done = subprocess.run(
            ["ffmpeg", "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=_PROGRAM_TIMEOUT,
        )
    except FileNotFoundError:
        return info(AREA, "ffmpeg program: none (only VAAPI needs it)")
    except (OSError, subprocess.SubprocessError) as error:
        return warning(AREA, f"ffmpeg program: cannot be run: {reason(error)}", "install it anew; only VAAPI needs it")
    found = re.match(r"ffmpeg version (\S+)", done.stdout)
    return info(AREA, f"ffmpeg program: {found[1] if found else 'of an unknown version'}")
