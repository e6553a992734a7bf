"""Descriptions of real browsers, and a transport of ours to answer with."""

from pathlib import Path

from signaling.jsep import IceCredentials, LocalTransport

DESCRIPTIONS = Path(__file__).parent / "descriptions"

LOCAL = LocalTransport(
    ice=IceCredentials("serverUfrag", "serverPasswordOf22Chars+"),
    fingerprint=":".join(f"{octet:02X}" for octet in range(32)),
    candidates=("uh127+0+0+1 1 udp 2130706431 127.0.0.1 50000 typ host",),
)


def description(name: str) -> str:
    """The text of a description in `descriptions/`, with the line ends of the wire."""
    return (DESCRIPTIONS / f"{name}.sdp").read_text().replace("\n", "\r\n")


def edited(text: str, old: str, new: str) -> str:
    """`text` with `old`, which must be there, replaced."""
    if old not in text:
        raise ValueError(f"{old!r} is not in the sample")
    return text.replace(old, new)
