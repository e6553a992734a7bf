"""The log on disk: rotation, ours and logrotate's, and disks that are full, gone or slow."""

import errno
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from structlog.testing import capture_logs

from media_service.log_file import LogFile, LogFileHandler

LINE = b'{"event": "a viewer joined"}\n'

PROGRAM = """
import sys
import structlog
from pathlib import Path
from media_service import log
from media_service.log_file import LogFile
from media_service.redaction import Redaction

file, redact = LogFile(Path(sys.argv[1]), 0, 1), Redaction(["hush-hush"])
log.configure("info", service_name="media-1", stream=sys.stderr, file=file, redact=redact)
for number in range(100):
    structlog.get_logger("media_service.app").info("a line", number=number, by="hush-hush")
try:
    raise ValueError("it broke")
except ValueError:
    structlog.get_logger("media_service.app").exception("a bug")
"""

ON_A_SMALL_DISK = """
import json, logging, sys, time
from pathlib import Path
from media_service.log_file import LogFile, LogFileHandler

folder = Path(sys.argv[1])
(folder / "other").write_bytes(bytes(32 << 10))
handler = LogFileHandler(LogFile(folder / "app.log", 0, 1), retry_after=0.01)
logging.getLogger().addHandler(handler)

def log_until(what):
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        logging.getLogger("here").warning(json.dumps({"text": "x" * 990}))
        time.sleep(0.0005)

log_until(lambda: handler.drops["unwritable"] >= 20)
full = (folder / "app.log").stat().st_size
(folder / "other").unlink()
log_until(lambda: (folder / "app.log").stat().st_size > full + 4096)
handler.close()
lines = (folder / "app.log").read_text().splitlines()
print(json.dumps([full, sum(line.startswith('{"text": "x') and line.endswith('x"}') for line in lines), len(lines)]))
"""


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come about within 20 s"
        time.sleep(0.001)


@contextmanager
def handling(file: LogFile, **options: float) -> Iterator[tuple[LogFileHandler, logging.Logger]]:
    """A handler of `file`, and a logger that nothing else listens to."""
    handler = LogFileHandler(
        file, retry_after=options.get("retry_after", 0.0), queue_limit=int(options.get("limit", 100))
    )
    logger = logging.Logger("test")
    logger.addHandler(handler)
    try:
        yield handler, logger
    finally:
        handler.close()


def test_lines_go_to_the_file_too_and_none_is_lost_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    *lines, last = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["event"], line["number"]) for line in lines] == [("a line", number) for number in range(100)]
    assert list(last)[:3] == ["timestamp", "level", "service"]
    assert last["exception"].endswith("ValueError: it broke")
    assert "hush-hush" not in done.stderr + path.read_text()
    assert lines[0]["by"] == "[redacted]"
    assert [json.loads(line) for line in done.stderr.splitlines()] == [*lines, last]


def test_the_file_is_put_aside_when_it_has_grown(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "app.log", 100, 2)
    for number in range(10):
        file.write(f"line {number}".ljust(39).encode() + b"\n")
    file.close()
    kept = {path.name: [int(line.split()[1]) for line in path.read_text().splitlines()] for path in tmp_path.iterdir()}
    assert kept == {"app.log": [8, 9], "app.log.1": [6, 7], "app.log.2": [4, 5]}


def test_a_line_longer_than_the_limit_is_written_all_the_same(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "app.log", 10, 2)
    for _ in range(3):
        file.write(LINE)
    file.close()
    assert [(tmp_path / name).read_bytes() for name in ("app.log", "app.log.1", "app.log.2")] == [LINE] * 3


def test_no_limit(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "app.log", 0, 1)
    for _ in range(1000):
        file.write(LINE)
    file.close()
    assert (tmp_path / "app.log").read_bytes() == LINE * 1000
    assert len([*tmp_path.iterdir()]) == 1


def test_a_file_that_cannot_be_put_aside_grows_on(tmp_path: Path) -> None:
    (tmp_path / "app.log.1" / "in the way").mkdir(parents=True)
    file = LogFile(tmp_path / "app.log", 50, 1)
    with capture_logs() as said:
        for _ in range(10):
            file.write(LINE)
    file.close()
    assert (tmp_path / "app.log").read_bytes() == LINE * 10
    assert [event["event"] for event in said] == ["the log file cannot be put aside and grows on"]


def test_a_log_that_is_there_is_continued(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(LINE)
    file = LogFile(tmp_path / "app.log", 0, 1)
    file.write(LINE)
    file.close()
    assert (tmp_path / "app.log").read_bytes() == LINE * 2


def test_a_file_that_was_moved_is_begun_anew_and_a_removed_one_too(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    file = LogFile(path, 0, 1)
    file.write(LINE)
    path.rename(tmp_path / "old.log")
    file.write(LINE * 2)
    assert (path.read_bytes(), (tmp_path / "old.log").read_bytes()) == (LINE * 2, LINE)
    path.unlink()
    file.write(LINE)
    assert path.read_bytes() == LINE
    file.close()


@pytest.mark.skipif(shutil.which("logrotate", path="/usr/sbin:/usr/bin") is None, reason="no logrotate here")
@pytest.mark.parametrize("way", ["create 0640", "copytruncate"])
def test_logrotate_as_the_guide_has_it(tmp_path: Path, way: str) -> None:
    logs = tmp_path / "logs"
    logs.mkdir(mode=0o755)
    recipe = tmp_path / "logrotate.conf"
    recipe.write_text(
        f"{logs}/*.log {{\n daily\n rotate 14\n compress\n delaycompress\n missingok\n notifempty\n {way}\n"
        " sharedscripts\n postrotate\n true\n endscript\n}\n"
    )
    recipe.chmod(0o644)
    file = LogFile(logs / "app.log", 0, 1)
    program = shutil.which("logrotate", path="/usr/sbin:/usr/bin")
    for number in range(3):
        file.write(f"day {number}\n".encode())
        subprocess.run(
            [str(program), "--force", "--state", str(tmp_path / "state"), str(recipe)],
            capture_output=True,
            check=True,
            timeout=60,
        )
    file.write(b"day 3\n")
    file.close()
    assert (logs / "app.log").read_text() == "day 3\n"
    assert (logs / "app.log.1").read_text() == "day 2\n"
    assert sorted(path.name for path in logs.iterdir()) == ["app.log", "app.log.1", "app.log.2.gz", "app.log.3.gz"]


def test_a_line_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from media_service.log_file import LogFile\n"
        "file, failed = LogFile(Path(sys.argv[1]), 0, 1), 0\n"
        "for _ in range(10):\n"
        "    try: file.write(b'0123456789' * 3 + b'\\n')\n"
        "    except OSError as error: failed += 1; assert error.errno == int(sys.argv[2]), error\n"
        "print(failed)"
    )
    path = tmp_path / "app.log"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), str(errno.EFBIG)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("7\n", "")
    assert path.read_bytes() == (b"0123456789" * 3 + b"\n") * 3


def test_a_full_disk_costs_lines_and_one_warning() -> None:
    with capture_logs() as said, handling(LogFile(Path("/dev/full"), 100, 1)) as (handler, logger):
        for _ in range(50):
            logger.warning("lost")
        wait_for(lambda: handler.drops["unwritable"] == 50)
    (warning,) = said
    assert (warning["log_level"], warning["reason"]) == ("warning", os.strerror(errno.ENOSPC))
    assert warning["event"].startswith("the log file cannot be written")


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root can mount a small disk")
def test_writing_goes_on_when_a_full_disk_has_room_again(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=64k tmpfs "$0" || exit 77; exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, str(tmp_path), sys.executable, "-c", ON_A_SMALL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode == 77:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    assert (done.returncode, done.stderr) == (0, "")
    full, whole, lines = json.loads(done.stdout.splitlines()[-1])
    assert 16 << 10 < full <= 32 << 10
    assert whole == lines > full // 1002


def test_a_folder_that_goes_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with capture_logs() as said, handling(LogFile(folder / "app.log", 0, 1)) as (handler, logger):
        logger.warning("one")
        wait_for((folder / "app.log").exists)
        wait_for(lambda: (folder / "app.log").read_text() == "one\n")
        shutil.rmtree(folder)
        logger.warning("lost")
        wait_for(lambda: handler.drops["unwritable"] == 1)
        folder.mkdir()
        logger.warning("two")
        wait_for((folder / "app.log").exists)
        wait_for(lambda: (folder / "app.log").read_text() == "two\n")
    assert handler.drops == {"unwritable": 1}
    assert [(event["event"], event.get("lines_lost")) for event in said] == [
        ("the log file cannot be written; lines are lost until it can", None),
        ("the log file is written again", 1),
    ]


def test_after_a_failure_the_disk_is_left_alone_for_a_while(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    with handling(LogFile(folder / "app.log", 0, 1), retry_after=3600.0) as (handler, logger):
        logger.warning("lost")
        wait_for(lambda: handler.drops["unwritable"] == 1)
        folder.mkdir()
        logger.warning("lost too")
        wait_for(lambda: handler.drops["unwritable"] == 2)
    assert [*folder.iterdir()] == []


class SlowDisk(LogFile):
    """Takes a line only when it is let."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 0, 1)
        self.lets = Event()

    def write(self, line: bytes) -> None:
        self.lets.wait()
        super().write(line)


def test_nobody_waits_for_a_slow_disk(tmp_path: Path) -> None:
    disk = SlowDisk(tmp_path / "app.log")
    with capture_logs() as said, handling(disk, limit=10) as (handler, logger):
        try:
            for number in range(100):
                logger.warning("line %d", number)
            assert handler.drops["queue_full"] >= 89
        finally:
            disk.lets.set()
        wait_for((tmp_path / "app.log").exists)
    written = (tmp_path / "app.log").read_text().splitlines()
    assert len(written) == 100 - handler.drops["queue_full"]
    assert written[:10] == [f"line {number}" for number in range(10)]
    assert [event["event"] for event in said] == ["the log file is written too slowly; lines are lost"]


def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    program = (
        "import logging, sys, threading; from pathlib import Path\n"
        "from media_service import log_file\n"
        "class Hung(log_file.LogFile):\n"
        "    def write(self, line): threading.Event().wait()\n"
        "log_file._CLOSE_TIMEOUT = 0.1\n"
        "handler = log_file.LogFileHandler(Hung(Path(sys.argv[1]), 0, 1), queue_limit=2)\n"
        "logging.getLogger().addHandler(handler)\n"
        "for _ in range(10): logging.getLogger().warning('lost')\n"
        "print(handler.drops['queue_full'] >= 7)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "app.log")],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.splitlines()[-1] == "True"


def test_what_cannot_be_formatted_is_told_and_raises_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with handling(LogFile(tmp_path / "app.log", 0, 1)) as (_, logger):
        logger.warning("%d", "not a number")
        logger.warning("lone surrogate \ud800")
    assert (tmp_path / "app.log").read_text() == "lone surrogate \\ud800\n"
    assert "not a number" in capsys.readouterr().err
