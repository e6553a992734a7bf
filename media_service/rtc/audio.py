"""Sound on its way out: one RTP packet per Opus packet and viewer (RFC 7587), sent the moment it comes.

A packet is laid out once and then costs a viewer one copy, ten bytes of header, the encryption and a system call.
Nothing waits here: sound that cannot leave now is dropped, and what came before it in the egress comes after it. The
pictures' budget pays for it.
"""

import secrets
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from encoders.audio_packet import CLOCK_RATE, AudioPacket
from media_service.rtc import rtcp
from media_service.rtc.dtls import DtlsTransport
from media_service.rtc.header_extensions import PacketShape, audio_shape
from media_service.rtc.path import Path
from media_service.rtc.srtp import PacketBuffer, protect
from media_service.rtc.template import Run
from signaling.jsep import AudioTrack

LARGEST_PACKET = 1276
"""Bytes: one Opus frame at its largest, with its first byte (RFC 6716 section 3.2.1); a datagram has room for it."""

_LARGEST_JITTER = 0.06 * CLOCK_RATE
"""What lies further from where it was expected did not merely come early or late: sound is missing, or is another's."""
_PACE = 1 / 128
"""How much of each packet's deviation goes into the clock mapping: some 2.5 s of 20 ms packets make it up."""
_LARGEST_BACKLOG = 64 << 10
"""Bytes of a viewer's TCP connection: a quarter of a second at 2 Mbit/s."""

_pack_numbering = struct.Struct("!HII").pack_into
_MARKER = 0x80


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where a packet belongs on the RTP clock of its stream, not yet wrapped to 32 bits."""

    timestamp: int
    shift: float
    """What `capture time * CLOCK_RATE` lacks to be the timestamp of that moment."""
    follows_gap: bool
    """Whether it is the first one, or the first after a gap."""


class AudioTimeline:
    """RTP timestamps of one stream's sound, and which moment of the capture clock they stand for. Pure.

    Packets that follow one another have timestamps that do: how evenly they were stamped at the device is none of the
    receiver's business. Their capture times go into the mapping only, averaged, so a device whose sampling clock is a
    little off is followed. A gap is left out of the timestamps as well. They never run backwards: sound that was
    captured before the last one ended (another source, which had to be later) comes right after it.
    """

    def __init__(self) -> None:
        self._following = 0
        """The timestamp of the packet that comes next without a gap."""
        self._shift = 0.0
        self._seen = 0
        """Packets since the last gap, as far as they matter."""

    def stamp(self, packet: AudioPacket) -> Stamp:
        """Where `packet`, the next one that came, belongs."""
        captured = packet.captured_at * CLOCK_RATE
        if not self._seen:
            self._following = round(captured)
        late = captured + self._shift - self._following
        follows_gap = not self._seen or abs(late) > _LARGEST_JITTER
        timestamp = self._following
        if follows_gap:
            self._seen = 0
            if late > 0:
                timestamp += round(late)
            self._shift = timestamp - captured
        else:
            # The first ones count more: what one alone says may be off by as much as its jitter.
            self._shift -= late * max(_PACE, 1 / (self._seen + 1))
        self._seen += 1
        self._following = timestamp + round(packet.duration * CLOCK_RATE)
        return Stamp(timestamp, self._shift, follows_gap)


class _Layout(NamedTuple):
    """A packet as all viewers of one shape get it."""

    clear: bytes
    """Header with numbering left zero, payload, and room for the tag."""
    length: int
    """Without the tag."""
    run: Run


class Sound:
    """One Opus packet of a stream on its way to its viewers."""

    __slots__ = ("_layouts", "payload", "stamp")

    def __init__(self, payload: bytes, stamp: Stamp) -> None:
        self.payload = payload
        self.stamp = stamp
        self._layouts: dict[PacketShape, _Layout] = {}

    def layout(self, shape: PacketShape, buffer: PacketBuffer) -> _Layout:
        """The packet for viewers of `shape`, to be copied to the beginning of `buffer`."""
        found = self._layouts.get(shape)
        if found is None:
            packet = shape.header(shape.payload_type, b"") + self.payload
            size = len(packet) + shape.tag_size
            found = _Layout(packet + bytes(shape.tag_size), len(packet), Run(buffer.view[:size], None, size))
            self._layouts[shape] = found
        return found


@dataclass(slots=True)
class AudioCounters:
    """What was sent to one viewer, as webrtc-stats names it."""

    packets_sent: int = 0
    bytes_sent: int = 0


class AudioSender:
    """Sends sound to one viewer. Everything here is synchronous and never waits."""

    def __init__(self, track: AudioTrack, dtls: DtlsTransport, buffer: PacketBuffer) -> None:
        self.ssrc = track.ssrc
        self._is_wanted = True
        self.drops: Counter[str] = Counter()
        """Packets not sent, by reason."""
        self.counters = AudioCounters()
        self.fraction_lost = 0.0
        """Share of the packets that the receiver last said it lost, 0..1."""
        self._shape = audio_shape(track, dtls.tag_size)
        self._context = dtls.srtp_context
        self._buffer = buffer
        self._pointer = buffer.pointers(LARGEST_PACKET)[0]
        # The lower half: libsrtp guesses the roll-over counter from the first packet that it sees (RFC 3711 3.3.1).
        self._sequence = secrets.randbits(15)
        self._timestamp_offset = secrets.randbits(32)
        self._is_interrupted = True
        """Whether the receiver did not get the packet before."""
        self._shift = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether somebody listens. Sound that nobody hears is not sent."""
        return self._is_wanted

    @is_wanted.setter
    def is_wanted(self, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        self._is_interrupted = True

    def send(self, sound: Sound, path: Path) -> int:
        """Send `sound` on `path`, or drop it; the octets that left."""
        if path.backlog > _LARGEST_BACKLOG:
            self._drop("audio_backlog")
            return 0
        buffer, stamp = self._buffer, sound.stamp
        clear, length, run = sound.layout(self._shape, buffer)
        data, size = buffer.data, buffer.length
        data[: len(clear)] = clear
        if self._is_interrupted or stamp.follows_gap:
            # RFC 3551 section 4.1: the first packet of a talkspurt is one after which playing may be adjusted.
            data[1] |= _MARKER
        timestamp = stamp.timestamp + self._timestamp_offset & 0xFFFFFFFF
        _pack_numbering(data, 2, self._sequence & 0xFFFF, timestamp, self.ssrc)
        size[0] = length
        if protect(self._context, self._pointer, size):
            # What libsrtp refuses to encrypt is not sent in clear.
            self._drop("audio_srtp_error")
            return 0
        self._sequence += 1
        if not path.send_run(run):
            self._drop("audio_buffer_full")
            return 0
        self._shift = stamp.shift
        self._is_interrupted = False
        self.counters.packets_sent += 1
        self.counters.bytes_sent += len(sound.payload)
        return len(clear)

    def report(self, now: float, ntp: int, cname: bytes) -> bytes:
        """A sender report for the moment `now`, which is `ntp` on the NTP clock; empty while nothing is sent."""
        packets, octets = self.counters.packets_sent, self.counters.bytes_sent
        if not packets or not self._is_wanted:
            return b""
        timestamp = round(now * CLOCK_RATE + self._shift) + self._timestamp_offset
        return rtcp.sender_report(self.ssrc, ntp, timestamp, packets, octets, cname)

    def _drop(self, reason: str) -> None:
        self.drops[reason] += 1
        self._is_interrupted = True


class Listener(Protocol):
    """A viewer, as far as its sound is concerned."""

    @property
    def audio(self) -> AudioSender | None:
        """None when it did not negotiate sound."""
        ...

    @property
    def path(self) -> Path: ...

    def charge(self, octets: int) -> None:
        """Sound is sent before anything else; pictures have to make do with what it leaves."""
        ...


class Soundtrack:
    """The sound of one stream, from its source to the viewers who take it."""

    def __init__(self, buffer: PacketBuffer) -> None:
        self.too_large = 0
        """Packets larger than any that a source of ours makes, which are left out."""
        self._buffer = buffer
        self._timeline = AudioTimeline()

    def push(self, packet: AudioPacket, viewers: Iterable[Listener]) -> None:
        """Send `packet` to those of `viewers` who listen."""
        stamp = self._timeline.stamp(packet)
        if len(packet.data) > LARGEST_PACKET:
            self.too_large += 1
            return
        sound = Sound(packet.data, stamp)
        for viewer in viewers:
            audio = viewer.audio
            if audio is not None and audio.is_wanted:
                viewer.charge(audio.send(sound, viewer.path))
