"""The `ffmpeg` command at the work that the pool does."""

import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.scrolling import ScrollingPictures
from encoders.codec_options import libx264_arguments
from encoders.video_encoder import VideoCoding


def command_run(pictures: ScrollingPictures, coding: VideoCoding, streams: int, count: int) -> tuple[float, float, int]:
    """The same by as many `ffmpeg` commands at once: wall and CPU seconds, and bytes."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise BenchmarkError("there is no ffmpeg command to compare with: apt-get install ffmpeg")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        outputs = [Path(folder) / f"{stream}.h264" for stream in range(streams)]
        begun_at, before = time.perf_counter(), _children_cpu_seconds()
        processes = [
            subprocess.Popen(_command(program, pictures, coding, count, output), stdin=subprocess.DEVNULL)
            for output in outputs
        ]
        codes = [process.wait() for process in processes]
        elapsed, cpu = time.perf_counter() - begun_at, _children_cpu_seconds() - before
        if any(codes):
            raise BenchmarkError(f"ffmpeg ended with exit codes {codes}")
        return elapsed, cpu, sum(output.stat().st_size for output in outputs)


def _command(program: str, pictures: ScrollingPictures, coding: VideoCoding, count: int, output: Path) -> list[str]:
    return [
        *(program, "-nostdin", "-v", "error", "-y"),
        *("-stream_loop", "-1", "-threads", "1"),
        *("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{coding.width}x{coding.height}"),
        *("-r", str(coding.frame_rate), "-i", str(pictures.path)),
        *("-frames:v", str(count), "-an", *libx264_arguments(coding), "-f", "h264", str(output)),
    ]


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
