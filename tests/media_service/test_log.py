"""What log lines look like, on a terminal and off it."""

import json
import os
import subprocess
import sys

PROGRAM = """
import logging, sys
import structlog
from media_service import log

log.configure(sys.argv[1], service_name="media-1", stream=sys.stderr)
structlog.get_logger("media_service.streams").debug("stream opened", viewers=1)
structlog.get_logger("media_service.streams").info("stream closed", viewers=0)
logging.getLogger("capture.adb.client").info("asked %s", "devices")
logging.getLogger("aioice.ice").info("a candidate pair")
logging.getLogger("aioice.ice").warning("no pair %s", "works")
try:
    secret = "hush"
    raise ValueError("it broke")
except ValueError:
    structlog.get_logger("media_service.app").exception("a bug")
"""


def lines_logged_at(level: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, level], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_off_a_terminal_every_line_is_a_json_object() -> None:
    first, second, third, last = lines_logged_at("info")
    assert list(first)[:3] == ["timestamp", "level", "service"]
    assert first | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "service": "media-1",
        "event": "stream closed",
        "viewers": 0,
        "logger": "media_service.streams",
    }
    assert (second["event"], second["logger"]) == ("asked devices", "capture.adb.client")
    assert (third["event"], third["level"]) == ("no pair works", "warning")
    assert last["event"] == "a bug"
    assert str(last["exception"]).endswith("ValueError: it broke")


def test_libraries_are_heard_from_warning_on_whatever_the_level() -> None:
    assert [line["event"] for line in lines_logged_at("debug")] == [
        "stream opened",
        "stream closed",
        "asked devices",
        "no pair works",
        "a bug",
    ]
    assert [line["event"] for line in lines_logged_at("error")] == ["a bug"]


def test_on_a_terminal_lines_are_for_people_and_show_no_local_variables() -> None:
    reader, terminal = os.openpty()
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, "info"], stderr=terminal)
    os.close(terminal)
    shown = bytearray()
    try:
        while chunk := os.read(reader, 65536):
            shown += chunk
    except OSError:
        pass  # EIO: the program has closed its end of the terminal.
    finally:
        os.close(reader)
    assert program.wait(60) == 0
    assert b"stream closed" in shown
    assert b"media-1" not in shown
    assert b"ValueError: it broke" in shown
    assert b"= 'hush'" not in shown
    assert b"stream opened" not in shown
