"""What is said of the kernel's UDP."""

from dataclasses import replace
from pathlib import Path

from media_service.diagnosis.finding import Status
from media_service.diagnosis.udp import RECEIVE, SEND, buffer_finding, check
from media_service.rtc import media_port
from media_service.settings import Settings


async def test_this_machine() -> None:
    send, receive, segmentation = await check(Settings())
    assert send.text.startswith("send buffer: ")
    assert receive.text.startswith("receive buffer: ")
    # Linux has it since 4.18.
    assert (segmentation.status, segmentation.text) == (Status.OK, "UDP GSO: one send became 10 packets")


def test_a_buffer_that_nobody_gives(tmp_path: Path) -> None:
    (tmp_path / "wmem_max").write_text("212992\n")
    finding = buffer_finding(replace(SEND, wanted=1 << 30, forced=SEND.limited), tmp_path)
    assert finding.status is Status.WARNING
    assert "of 1073741824 bytes (net.core.wmem_max is 212992)" in finding.text
    assert finding.remedy.startswith("sysctl -w net.core.wmem_max=1073741824")


def test_a_buffer_that_everybody_gets() -> None:
    assert buffer_finding(replace(RECEIVE, wanted=4096)).status is Status.OK


def test_a_kernel_that_hides_its_limits(tmp_path: Path) -> None:
    finding = buffer_finding(replace(RECEIVE, wanted=1 << 30, forced=RECEIVE.limited), tmp_path)
    assert "net.core.rmem_max cannot be read" in finding.text


def test_what_is_wanted_is_what_the_media_port_asks_for() -> None:
    assert (SEND.wanted, RECEIVE.wanted) == (media_port.SEND_BUFFER, media_port._RECEIVE_BUFFER)
    assert (SEND.forced, RECEIVE.forced) == (media_port._SO_SNDBUFFORCE, media_port._SO_RCVBUFFORCE)
