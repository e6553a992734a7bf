"""Egress: coded pictures from one UDP port to every viewer.

    Picture     an access unit, cut into RTP payloads once for all viewers (RFC 6184)
    Egress      whose turn it is: every viewer of a stream, a slice of a few milliseconds at a time
    Viewer      one receiver: what it is sent and when, and what it reports
    Peer        one receiver's transport: ICE, DTLS-SRTP, data channels
    MediaPort   the sockets that all peers share; a datagram finds its peer by ICE ufrag, then by address

The parsers (`stun`, `rtcp`, `packetizer`, `header_extensions`) are pure. The private names of aiortc and pylibsrtp are
used in `dtls` and `srtp` only.
"""
