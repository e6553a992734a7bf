// Watches a device over WHEP with node-datachannel (libdatachannel), and writes every RTP packet to stdout.
// Its candidates are trickled. Usage: node node_datachannel_player.mjs URL

import datachannel from "node-datachannel";

import { WhepSession, fragmentOf, obey, tell } from "./whep.mjs";

const [, , endpoint] = process.argv;
const whep = new WhepSession();
const candidates = [];
const peer = new datachannel.PeerConnection("player", { iceServers: [], bindAddress: "127.0.0.1" });
const described = new Promise((resolve) => peer.onLocalDescription((sdp) => resolve(sdp)));
const gathered = new Promise((resolve) => {
  peer.onGatheringStateChange((state) => state === "complete" && resolve());
});
peer.onLocalCandidate((candidate) => candidates.push(candidate));
peer.onStateChange((state) => tell("state", { state }));

const video = new datachannel.Video("video", "RecvOnly");
video.addH264Codec(96);
// Globals: what is not referenced is collected, and then nothing arrives any more.
globalThis.track = peer.addTrack(video);
globalThis.receiving = new datachannel.RtcpReceivingSession();
track.setMediaHandler(receiving);
track.onMessage((packet) => tell("packet", { data: packet.toString("base64") }));
peer.setLocalDescription("offer");

const offer = await described;
peer.setRemoteDescription(await whep.start(endpoint, offer), "answer");
await gathered;
await whep.trickle(fragmentOf(offer, candidates));

await obey({
  keyframe() {
    track.requestKeyframe();
  },
  async leave() {
    await whep.leave();
    peer.close();
  },
});
