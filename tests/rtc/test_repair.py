"""What is sent again, and what twice, where the path loses packets."""

import pytest

from media_service.rtc.bandwidth import Probe
from media_service.rtc.rtcp import Nack, ReceptionReport, TransportFeedback
from media_service.rtc.viewer import ntp_time
from tests.rtc.estimators import SetEstimator
from tests.rtc.joined import JoinedEnds
from tests.rtc.samples import TRACK, video_track
from tests.rtc.test_pacing import NUMBERED, TRANSPORT_SEQUENCE, TURN, Scene

NTP = ntp_time(1_800_000_000.0)
PICTURE = 3000
"""Three packets."""


@pytest.fixture
async def scene(joined: JoinedEnds) -> Scene:
    """A path with room, whose feedback tells of every packet; a keyframe was sent."""
    scene = Scene(joined, SetEstimator(4_000_000, numbers_packets=True), NUMBERED)
    scene.push(PICTURE, is_keyframe=True)
    return scene


def report(scene: Scene, fraction_lost: float) -> None:
    """A receiver report, a second after the last one."""
    scene.now += 1.0
    packet = ReceptionReport(TRACK.ssrc, fraction_lost, 0, 1000, 0, 0, 0)
    scene.viewer.rtcp_received([packet], scene.now, NTP)


def lossy(scene: Scene, fraction_lost: float = 0.02) -> None:
    """Reports of so much loss."""
    for _ in range(4):
        report(scene, fraction_lost)


def missed(scene: Scene, *numbers: int, until: int | None = None) -> None:
    """Feedback on everything that was sent before `until`, of which these transport-wide `numbers` did not arrive."""
    count = until or sum(len(sizes) for _, sizes, _ in scene.estimator.sent)
    arrivals = tuple(None if number in numbers else 1.0 for number in range(count))
    scene.viewer.rtcp_received([TransportFeedback(0, arrivals, 0)], scene.now, NTP)
    scene.note()


def originals(scene: Scene) -> list[int]:
    """The sequence numbers of the packets that were repeated, in that order."""
    return [int.from_bytes(packet.payload[:2], "big") for packet in scene.repeated()]


async def test_where_nothing_is_lost_nothing_is_sent_twice(scene: Scene) -> None:
    lossy(scene, 0.0)
    scene.push(PICTURE)
    scene.run(0.1)
    scene.nack(scene.video()[-2].sequence_number)
    scene.run(0.1)
    assert len(scene.repeated()) == 1
    counters = scene.viewer.counters
    assert (counters.retransmitted_packets_sent, counters.repair_copies_sent, counters.tail_copies_sent) == (1, 0, 0)


async def test_what_is_sent_again_leaves_twice_where_packets_are_lost(scene: Scene) -> None:
    lossy(scene)
    lost = [packet.sequence_number for packet in scene.video()[:2]]
    asked_at = scene.now
    scene.nack(*lost)
    assert originals(scene) == lost
    assert scene.outlet.attended == [scene.viewer] * 2
    scene.run(0.1)
    assert originals(scene) == lost * 2, "the copies come after all of them"
    times = [at for at, packet, _ in scene.arrived if packet.ssrc == TRACK.rtx_ssrc]
    assert times[:2] == [asked_at] * 2
    assert all(0.004 <= at - asked_at <= 2 * TURN for at in times[2:])
    counters = scene.viewer.counters
    assert (counters.retransmitted_packets_sent, counters.repair_copies_sent) == (4, 2)
    assert scene.viewer.serve(scene.now) == float("inf")


async def test_the_end_of_a_picture_leaves_twice_where_packets_are_lost(scene: Scene) -> None:
    lossy(scene)
    scene.push(PICTURE)
    sent_at, end = scene.now, scene.video()[-1]
    scene.run(0.1)
    (copy,) = scene.repeated()
    assert (copy.payload[:2], copy.payload[2:]) == (end.sequence_number.to_bytes(2, "big"), end.payload)
    assert copy.marker
    assert 0.004 <= scene.arrived[-1][0] - sent_at <= 2 * TURN
    assert scene.viewer.counters.tail_copies_sent == scene.viewer.counters.retransmitted_packets_sent == 1


async def test_a_picture_that_is_spread_ends_twice_too(scene: Scene) -> None:
    lossy(scene)
    scene.push(60_000)
    scene.run(0.5)
    assert originals(scene) == [scene.video()[-1].sequence_number]


@pytest.mark.parametrize("why", ["the path is congested", "too much is lost", "there is no room"])
async def test_there_are_no_copies_where(joined: JoinedEnds, why: str) -> None:
    estimator = SetEstimator(4_000_000)
    scene = Scene(joined, estimator)
    scene.push(PICTURE, is_keyframe=True)
    if why == "there is no room":
        estimator.bit_rate = 100_000
        for _ in range(4):
            scene.viewer.charge(11_000)
            report(scene, 0.02)
    else:
        lossy(scene, 0.3 if why == "too much is lost" else 0.02)
    estimator.is_congested = why == "the path is congested"
    scene.push(PICTURE)
    scene.run(0.5)
    before = len(scene.arrived)
    scene.nack(scene.video()[-2].sequence_number)
    scene.run(0.5)
    assert len(scene.arrived) == before + 1
    counters = scene.viewer.counters
    assert (counters.retransmitted_packets_sent, counters.repair_copies_sent, counters.tail_copies_sent) == (1, 0, 0)


async def test_congestion_takes_copies_back(scene: Scene) -> None:
    lossy(scene)
    scene.push(PICTURE)
    scene.estimator.is_congested = True
    scene.run(0.1)
    assert scene.repeated() == []
    assert scene.viewer.drops == {"copy_given_up": 1}


async def test_copies_wait_for_the_budget_but_not_for_long(scene: Scene) -> None:
    lossy(scene)
    scene.push(PICTURE)
    scene.viewer.charge(40_000)
    scene.run(0.01)
    assert scene.repeated() == []
    scene.run(0.04)
    assert len(scene.repeated()) == 1
    scene.push(PICTURE)
    scene.viewer.charge(100_000)
    scene.run(0.5)
    assert len(scene.repeated()) == 1
    assert scene.viewer.drops == {"copy_given_up": 1}


async def test_feedback_makes_up_for_a_lost_nack(scene: Scene) -> None:
    missed(scene, 1)
    assert originals(scene) == [scene.video()[1].sequence_number]
    scene.run(0.06)
    scene.nack(scene.video()[1].sequence_number)
    counters = scene.viewer.counters
    assert (counters.retransmitted_packets_sent, counters.feedback_repairs) == (2, 1), "a later NACK is answered too"


async def test_feedback_and_a_nack_of_one_loss_are_answered_once(scene: Scene) -> None:
    lost = scene.video()[1].sequence_number
    scene.nack(lost)
    missed(scene, 1, until=3)
    missed(scene, 1)
    assert originals(scene) == [lost]
    lost = scene.video()[0].sequence_number
    missed(scene, 0)
    scene.nack(lost)
    assert originals(scene)[1:] == [lost]
    assert scene.viewer.drops == {"nack_too_soon": 1}


async def test_a_repair_that_is_lost_is_sent_again(scene: Scene) -> None:
    lost = scene.video()[1].sequence_number
    missed(scene, 1)
    scene.push(PICTURE)
    missed(scene, 1, 4)
    assert originals(scene) == [lost, lost]
    scene.push(PICTURE)
    missed(scene, 1, 4)
    assert originals(scene) == [lost, lost]


async def test_a_copy_that_is_lost_is_no_loss_while_another_may_arrive(scene: Scene) -> None:
    lossy(scene)
    scene.push(PICTURE)
    first = scene.estimator.sent[-1][0]
    scene.nack(scene.video()[-3].sequence_number)
    scene.run(0.1)
    assert originals(scene).count(scene.video()[-3].sequence_number) == 2
    repair, _, copy = (number for number, _, _ in scene.estimator.sent[-3:])
    scene.push(PICTURE)
    missed(scene, first, repair)
    assert scene.viewer.counters.feedback_repairs == 0
    missed(scene, first, repair, copy)
    assert scene.viewer.counters.feedback_repairs == 1, "all three are lost"


async def test_a_tail_copy_that_is_lost_is_no_loss(scene: Scene) -> None:
    lossy(scene)
    scene.push(PICTURE)
    scene.run(0.1)
    assert len(scene.repeated()) == 1
    scene.push(PICTURE)
    copy = scene.estimator.sent[-2][0]
    missed(scene, copy)
    assert scene.viewer.counters.feedback_repairs == 0
    missed(scene, copy, copy - 1)
    assert scene.viewer.counters.feedback_repairs == 1


async def test_what_was_given_up_is_not_repaired(joined: JoinedEnds) -> None:
    scene = Scene(joined, SetEstimator(1_000_000, is_congested=True, numbers_packets=True), NUMBERED)
    scene.push(2000, is_keyframe=True)
    scene.push(9000)
    scene.push(2000, is_keyframe=True)
    scene.run(0.2)
    assert scene.viewer.drops == {"overtaken": 1}
    missed(scene, 0, 1)
    scene.run(0.2)
    assert scene.repeated() == []


async def test_padding_that_is_lost_is_not_repaired(scene: Scene) -> None:
    scene.run(1.0)
    scene.estimator.probes.append(Probe(3_000_000, 0.1))
    scene.viewer.wanted_bit_rate = 6_000_000
    scene.run(0.3)
    padding = len(scene.repeated())
    assert padding == scene.viewer.counters.padding_packets_sent > 10
    scene.push(PICTURE)
    missed(scene, *range(4, 4 + padding))
    assert len(scene.repeated()) == padding


async def test_without_a_retransmission_stream_only_nacks_are_answered(joined: JoinedEnds) -> None:
    track = video_track(rtx_payload_type=None, transport_sequence_extension=TRANSPORT_SEQUENCE)
    scene = Scene(joined, SetEstimator(4_000_000, numbers_packets=True), track)
    scene.push(PICTURE, is_keyframe=True)
    lossy(scene)
    scene.push(PICTURE)
    scene.run(0.1)
    assert len(scene.arrived) == 7
    missed(scene, 5)
    assert len(scene.arrived) == 7
    scene.viewer.rtcp_received([Nack(TRACK.ssrc, (scene.video()[5].sequence_number,))], scene.now, NTP)
    # It is the very same packet, which nobody could decrypt twice.
    assert len(joined.path.datagrams) == 1
    scene.viewer.serve(scene.now + 0.1)
    assert len(joined.path.datagrams) == 1
