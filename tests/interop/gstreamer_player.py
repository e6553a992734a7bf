"""Watches a device over WHEP with GStreamer's webrtcbin, and writes what it sees to stdout, a JSON object per line.

GStreamer's bindings are packaged for Debian's own Python: /usr/bin/python3 gstreamer_player.py URL PICTURES SETUP
"""

import json
import sys
import threading
import urllib.parse
import urllib.request

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstApp, GstSdp, GstWebRTC  # type: ignore[import-not-found]  # noqa: E402

CAPABILITIES = (
    "application/x-rtp,media=video,encoding-name=H264,clock-rate=90000,payload=96,"
    "packetization-mode=(string)1,profile-level-id=(string)42e01f"
)
DECODER = "rtph264depay ! h264parse ! avdec_h264 ! video/x-raw,format=I420 ! appsink name=pictures emit-signals=true"


_telling = threading.Lock()


def tell(**event: object) -> None:
    """One line for the test; pictures come in a thread of their own."""
    with _telling:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


class Player:
    """One viewer's pipeline."""

    def __init__(self, endpoint: str, pictures: int, setup: str) -> None:
        """`setup` is the DTLS role that it offers."""
        self._endpoint = endpoint
        self._wanted = pictures
        self._setup = setup
        self._location = ""
        # A promise whose reply is dropped takes the description in it along, and webrtcbin crashes.
        self._replies: list[Gst.Structure] = []
        self._loop = GLib.MainLoop()
        self._pipeline = Gst.Pipeline.new("player")
        self._webrtc = Gst.ElementFactory.make("webrtcbin", "webrtc")
        self._webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self._webrtc.connect("pad-added", self._pad_added)
        self._webrtc.connect("notify::ice-gathering-state", self._gathering_changed)
        self._pipeline.add(self._webrtc)
        # libnice leaves loopback out by itself, and a test machine may have no other address. Kept, for webrtcbin does
        # not hold its agent by a reference of its own once Python has seen it.
        self._agent = self._webrtc.get_property("ice-agent")
        self._agent.emit("add-local-ip-address", "127.0.0.1")
        receive_only = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
        self._webrtc.emit("add-transceiver", receive_only, Gst.Caps.from_string(CAPABILITIES))
        bus = self._pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self._failed)

    def play(self) -> None:
        """Until the pictures have come."""
        self._pipeline.set_state(Gst.State.PLAYING)
        self._webrtc.emit("create-offer", None, Gst.Promise.new_with_change_func(self._offer_created))
        self._loop.run()
        if self._location:
            request = urllib.request.Request(self._location, method="DELETE")
            with urllib.request.urlopen(request, timeout=10) as response:
                tell(event="left", status=response.status)
        self._pipeline.set_state(Gst.State.NULL)

    def _offer_created(self, promise: Gst.Promise) -> None:
        reply = promise.get_reply()
        self._replies.append(reply)
        self._webrtc.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def _gathering_changed(self, webrtc: Gst.Element, _: object) -> None:
        if webrtc.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            GLib.idle_add(self._exchange)

    def _exchange(self) -> bool:
        offer = self._webrtc.get_property("local-description").sdp.as_text()
        offer = offer.replace("a=setup:actpass", f"a=setup:{self._setup}")
        headers = {"Content-Type": "application/sdp"}
        request = urllib.request.Request(self._endpoint, offer.encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            self._location = urllib.parse.urljoin(self._endpoint, response.headers["Location"])
            answer = response.read().decode()
        tell(event="answered", offer=offer, answer=answer)
        _, message = GstSdp.SDPMessage.new_from_text(answer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self._webrtc.emit("set-remote-description", description, Gst.Promise.new())
        return False

    def _pad_added(self, _: Gst.Element, pad: Gst.Pad) -> None:
        decoder = Gst.parse_bin_from_description(DECODER, True)
        decoder.get_by_name("pictures").connect("new-sample", self._picture)
        self._pipeline.add(decoder)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))

    def _picture(self, sink: GstApp.AppSink) -> Gst.FlowReturn:
        sample = sink.emit("pull-sample")
        shape = sample.get_caps().get_structure(0)
        width, height = shape.get_value("width"), shape.get_value("height")
        buffer = sample.get_buffer()
        luma = buffer.extract_dup(0, width * height)
        tell(event="picture", width=width, height=height, brightness=[min(luma), max(luma)])
        self._wanted -= 1
        if not self._wanted:
            GLib.idle_add(self._loop.quit)
        return Gst.FlowReturn.OK

    def _failed(self, _: Gst.Bus, message: Gst.Message) -> None:
        tell(event="failed", reason=str(message.parse_error()))
        self._loop.quit()


if __name__ == "__main__":
    Gst.init(None)
    Player(sys.argv[1], int(sys.argv[2]), sys.argv[3]).play()
