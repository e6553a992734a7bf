// Watches a device over WHEP with werift (TypeScript all the way), and writes every RTP packet to stdout.
// Usage: node werift_player.mjs URL

import { RTCPeerConnection, RTCRtpCodecParameters } from "werift";

import { WhepSession, fragmentOf, obey, tell } from "./whep.mjs";

const [, , endpoint] = process.argv;
const whep = new WhepSession();
const h264 = new RTCRtpCodecParameters({
  mimeType: "video/H264",
  clockRate: 90000,
  payloadType: 102,
  rtcpFeedback: [{ type: "nack" }, { type: "nack", parameter: "pli" }, { type: "goog-remb" }],
  parameters: "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1",
});
const peer = new RTCPeerConnection({
  codecs: { video: [h264] },
  iceServers: [],
  iceAdditionalHostAddresses: ["127.0.0.1"],
});
const { receiver } = peer.addTransceiver("video", { direction: "recvonly" });
// Without an ICE server it asks a public one; there is nothing to be learnt from that on loopback.
for (const { connection } of peer.iceTransports) connection.stunServer = undefined;
peer.connectionStateChange.subscribe((state) => tell("state", { state }));
// Once: werift tells of the same track again after an ICE restart.
peer.onTrack.once((track) =>
  track.onReceiveRtp.subscribe((packet) => tell("packet", { data: packet.serialize().toString("base64") })),
);

async function gathered() {
  if (peer.iceGatheringState === "complete") return;
  await peer.iceGatheringStateChange.watch((state) => state === "complete");
}

await peer.setLocalDescription(await peer.createOffer());
await gathered();
let answer = await whep.start(endpoint, peer.localDescription.sdp);
await peer.setRemoteDescription({ type: "answer", sdp: answer });

await obey({
  async keyframe() {
    await receiver.sendRtcpPLI(receiver.tracks[0].ssrc);
  },
  // WHEP knows no second offer: the credentials go by PATCH, and the answer to it is the first one with new ones.
  async restart() {
    if (peer.connectionState !== "connected") {
      await peer.connectionStateChange.watch((state) => state === "connected");
    }
    await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }));
    await gathered();
    const offer = peer.localDescription.sdp;
    const candidates = offer.split(/\r?\n/).filter((line) => line.startsWith("a=candidate:"));
    const fragment = await whep.restart(fragmentOf(offer, candidates));
    for (const name of ["ice-ufrag", "ice-pwd"]) {
      const [line] = fragment.match(new RegExp(`^a=${name}:.*$`, "m"));
      answer = answer.replace(new RegExp(`^a=${name}:.*$`, "gm"), line);
    }
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    // werift waits for the other side's checks once DTLS is connected, and a lite agent sends none.
    const [transport] = peer.iceTransports;
    await transport.start();
    tell("nominated", { username: transport.connection.remoteUsername, pair: transport.getSelectedCandidatePair() });
  },
  async leave() {
    await whep.leave();
    await peer.close();
  },
});
