// A WHEP player as a stranger would write it from the drafts, evaluated in a page of its own: nothing of our viewer.
// It defines `player`; every function returns what can become JSON.

globalThis.player = {
  async start(endpoint, trickles) {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    const video = document.body.appendChild(document.createElement("video"));
    video.muted = true;
    video.autoplay = true;
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.ontrack = ({ track }) => (video.srcObject = new MediaStream([track]));
    Object.assign(this, { peer, video, found: [], wanted: null });
    peer.onicecandidate = ({ candidate }) => {
      if (candidate) this.found.push(`a=${candidate.candidate}`);
      else this.gathered?.();
    };
    const gathered = new Promise((resolve) => (this.gathered = resolve));
    await peer.setLocalDescription();
    if (!trickles) await gathered;
    this.offer = peer.localDescription.sdp;
    const headers = { "Content-Type": "application/sdp" };
    const response = await fetch(endpoint, { method: "POST", headers, body: this.offer });
    const answer = await response.text();
    if (response.status !== 201) return { status: response.status, answer, offer: this.offer };
    this.location = new URL(response.headers.get("Location"), response.url);
    this.etag = response.headers.get("ETag");
    this.answer = answer;
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    await gathered;
    const patched = trickles ? (await this.patch(this.offer, this.etag)).status : null;
    return { status: response.status, answer, offer: this.offer, patched, candidates: this.found.length };
  },

  patch(description, etag) {
    const lines = description.split("\r\n");
    const head = ["a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:"].map((name) => lines.find((line) => line.startsWith(name)));
    const body = [...head, ...this.found, "a=end-of-candidates", ""].join("\r\n");
    const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag };
    return fetch(this.location, { method: "PATCH", headers, body });
  },

  // WHEP knows no second offer: the new credentials go by PATCH, and the answer to it is the first one with new ones.
  async restart() {
    this.found = [];
    const gathered = new Promise((resolve) => (this.gathered = resolve));
    this.peer.restartIce();
    await this.peer.setLocalDescription();
    await gathered;
    const response = await this.patch(this.peer.localDescription.sdp, "*");
    const fragment = await response.text();
    const before = this.etag;
    this.etag = response.headers.get("ETag");
    this.answer = ["ice-ufrag", "ice-pwd"].reduce((answer, name) => {
      const [line] = fragment.match(new RegExp(`^a=${name}:.*$`, "m"));
      return answer.replace(new RegExp(`^a=${name}:.*$`, "gm"), line);
    }, this.answer);
    // The candidates that count are those of the fragment.
    const candidates = fragment.split("\r\n").filter((line) => line.startsWith("a=candidate:"));
    const old = /(a=candidate:.*\r\n)+/g;
    this.answer = this.answer.replace(old, candidates.map((line) => `${line}\r\n`).join(""));
    await this.peer.setRemoteDescription({ type: "answer", sdp: this.answer });
    return { status: response.status, etags: [before, this.etag], fragment };
  },

  // How many pictures were decoded, of which size, and by which path they came.
  async seen() {
    const { video, peer } = this;
    const stats = [...(await peer.getStats()).values()];
    const received = stats.find((one) => one.type === "inbound-rtp" && one.kind === "video") ?? {};
    const transport = stats.find((one) => one.type === "transport");
    const pair =
      stats.find((one) => one.id === transport?.selectedCandidatePairId) ??
      stats.find((one) => one.type === "candidate-pair" && one.selected);
    const remote = stats.find((one) => one.id === pair?.remoteCandidateId);
    return {
      width: video.videoWidth,
      height: video.videoHeight,
      decoded: received.framesDecoded ?? 0,
      keyframes: received.keyFramesDecoded ?? 0,
      state: peer.connectionState,
      ice: peer.iceConnectionState,
      path: remote ? `${remote.protocol} ${remote.address}:${remote.port} ${remote.usernameFragment ?? ""}`.trim() : null,
    };
  },

  // The range of it in the picture that is shown.
  brightness() {
    const { videoWidth: width, videoHeight: height } = this.video;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(this.video, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    let [darkest, brightest] = [255, 0];
    for (let index = 1; index < data.length; index += 4) {
      darkest = Math.min(darkest, data[index]);
      brightest = Math.max(brightest, data[index]);
    }
    return [darkest, brightest];
  },

  async leave() {
    const response = await fetch(this.location, { method: "DELETE" });
    this.peer.close();
    this.video.remove();
    return response.status;
  },
};
