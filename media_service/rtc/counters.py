"""What is counted of one viewer."""

from dataclasses import dataclass


@dataclass(slots=True)
class ViewerCounters:
    """What happened to one viewer's packets, named as in webrtc-stats where it has a name."""

    packets_sent: int = 0
    bytes_sent: int = 0
    retransmitted_packets_sent: int = 0
    """All that were sent because others did not arrive, or might not; padding is counted by itself."""
    repair_copies_sent: int = 0
    """Those among them that were sent a second time at once, because the path loses packets."""
    tail_copies_sent: int = 0
    """Those among them that were ends of pictures nobody was known to lack."""
    feedback_repairs: int = 0
    """Packets that feedback told to be missing and that no NACK had brought."""
    padding_packets_sent: int = 0
    padding_bytes_sent: int = 0
    pictures_sent: int = 0
    pictures_replayed: int = 0
    nack_count: int = 0
    pli_count: int = 0
    fir_count: int = 0
    receiver_reports: int = 0
