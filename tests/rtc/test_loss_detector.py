"""What feedback says is lost, told once and not too soon."""

from hypothesis import given
from hypothesis import strategies as st

from media_service.rtc.loss_detector import LossDetector
from media_service.rtc.rtcp import TransportFeedback


def feedback(first: int, arrived: str) -> TransportFeedback:
    """Feedback on packets from `first` on; a dot is one that did not arrive."""
    arrivals = tuple(None if each == "." else 1.0 for each in arrived)
    return TransportFeedback(first & 0xFFFF, arrivals, 0)


def test_what_arrives_is_not_lost() -> None:
    detector = LossDetector()
    assert detector.reported(feedback(0, "xxxx"), 10) == []


def test_a_gap_is_a_loss_and_told_once() -> None:
    detector = LossDetector()
    assert detector.reported(feedback(0, "x.x..x"), 10) == [1, 3, 4]
    assert detector.reported(feedback(0, "x.x..xx"), 10) == []
    assert detector.reported(feedback(7, "x.x"), 10) == [8]


def test_nothing_is_lost_before_something_later_has_arrived() -> None:
    detector = LossDetector()
    assert detector.reported(feedback(0, "xx.."), 10) == []
    assert detector.reported(feedback(4, ".x"), 10) == [2, 3, 4]


def test_what_only_came_late_is_not_lost() -> None:
    detector = LossDetector()
    assert detector.reported(feedback(0, "xx."), 10) == []
    assert detector.reported(feedback(2, "xx"), 10) == []
    assert detector.reported(feedback(4, "xx"), 10) == []


def test_a_path_that_mixes_packets_is_given_more_time() -> None:
    detector = LossDetector()
    assert detector.reported(feedback(0, "x.x"), 100) == [1]
    assert detector.reported(feedback(1, "xxx"), 100) == [], "it was overtaken"
    assert detector.reported(feedback(4, ".xx"), 100) == []
    assert detector.reported(feedback(4, "xxx"), 100) == []
    assert detector.reported(feedback(7, ".xxx"), 100) == [7], "three later ones leave no doubt"
    assert detector.reported(feedback(7, "xxxx"), 100) == []
    assert detector.reported(feedback(11, ".xxx"), 100) == []
    assert detector.reported(feedback(15, "xxxx"), 100) == [11]


def test_numbers_wrap() -> None:
    detector = LossDetector()
    assert detector.reported(feedback(0x1FFFE, "x.x.x"), 0x20010) == [0x1FFFF, 0x20001]


def test_what_was_never_sent_is_not_lost() -> None:
    detector = LossDetector()
    assert detector.reported(feedback(0, "..x"), 0) == []
    assert detector.reported(feedback(8, "..x"), 9) == []


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.text("x.", min_size=1, max_size=60)), max_size=40))
def test_whatever_feedback_says_each_packet_is_lost_once_and_was_sent(reports: list[tuple[int, str]]) -> None:
    detector, sent = LossDetector(), 70_000
    for first, arrived in reports:
        lost = detector.reported(feedback(first, arrived), sent)
        assert lost == sorted(set(lost))
        assert all(0 <= number < sent for number in lost)
