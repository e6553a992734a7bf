"""`python -m capture.demo_phone`."""

import re
import signal
import subprocess
import sys

import pytest

from capture.demo_phone.__main__ import main

TIMEOUT = 60.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "721x1280"], "width 721: it must be an even number from 120 to 4096"),
        (["--frame-rate", "0"], "frame rate 0: it must be 1 to 120"),
        (["--rotation", "4", "--size", "120x120"], "rotation 4: it must be 0 to 3 quarter turns"),
        (["--sdk", "5", "--size", "120x120"], "API level 5: it must be 24"),
        (["--port", "99999", "--size", "120x120"], "port must be 0-65535"),
        (["--host", "192.0.2.1", "--size", "120x120"], "192.0.2.1"),
    ],
)
def test_it_says_what_cannot_be(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert main(arguments) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("demo phone: ")
    assert said in errors


def test_a_size_is_two_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--size", "big"])
    assert ended.value.code == 2
    assert "'big' is not a size: write it as 720x1280" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_tells_its_address_and_ends_quietly_by_a_signal(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "capture.demo_phone", "--size", "240x320", "--still"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert re.fullmatch(r"demo phone at 127\.0\.0\.1:\d+\n", process.stdout.readline())
            process.send_signal(number)
            assert process.communicate(timeout=TIMEOUT) == ("", "")
            assert process.returncode == 0
        finally:
            process.kill()
