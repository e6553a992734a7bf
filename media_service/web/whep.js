// @ts-check
/** One session with the service over WHEP (draft-ietf-wish-whep, RFC 9725): picture and sound come, input goes. */

import { ControlChannel } from "./control.js";
import { Refusal } from "./refusal.js";
import { Token } from "./token.js";

const ANSWER_TIMEOUT_MS = 15000;
const CONNECT_TIMEOUT_MS = 10000;
const DELETE_TIMEOUT_MS = 2000;
/** ICE may lose a path for a moment and find it again; what lasts longer is a lost connection. */
const DISCONNECTED_GRACE_MS = 2000;
/** The service learns our address from our own checks, so most sessions are connected before a trickle would help. */
const TRICKLE_DELAY_MS = 50;

/** @typedef {{reason: string}} Closed */

/**
 * Fires `connected` once, and `closed` (CustomEvent of Closed) once when an established session ends by itself; not
 * after `close()`.
 */
export class WhepSession extends EventTarget {
  #endpoint;
  #token;
  #connection;
  #transceiver;
  #sound;
  #channel;
  /** @type {URL | null} */
  #location = null;
  #etag = "";
  #isClosed = false;
  #endedByService = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watchdog;
  /** @type {RTCIceCandidate[]} */
  #candidates = [];
  #isGathered = false;
  #isEndTold = false;
  #isTrickling = false;

  /** `performance.now()` when the offer went out; null before. */
  offerSentAt = /** @type {number | null} */ (null);

  /**
   * @param {string | URL} endpoint the device's WHEP address
   * @param {RTCIceServer[]} iceServers
   * @param {Token} token
   */
  constructor(endpoint, iceServers = [], token = new Token()) {
    super();
    this.#endpoint = new URL(endpoint, document.baseURI);
    this.#token = token;
    this.#connection = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.#transceiver = this.#connection.addTransceiver("video", { direction: "recvonly" });
    preferH264(this.#transceiver);
    // A screen that is touched wants the newest picture, not the smoothest one.
    if ("jitterBufferTarget" in this.#transceiver.receiver) this.#transceiver.receiver.jitterBufferTarget = 0;
    // Always asked for: only the answer tells whether the phone has any.
    this.#sound = this.#connection.addTransceiver("audio", { direction: "recvonly" });
    preferOpus(this.#sound);
    this.#channel = this.#connection.createDataChannel("control", { ordered: true });

    this.control = new ControlChannel(this.#channel);
    this.stream = new MediaStream([this.#transceiver.receiver.track]);

    this.control.addEventListener("message", (event) => {
      const { type, state, reason } = /** @type {CustomEvent} */ (event).detail;
      if (type === "session-state" && (state === "closed" || state === "failed")) this.#endedByService = reason || "";
    });
    this.#connection.addEventListener("icecandidate", ({ candidate }) => this.#gather(candidate));
    this.#connection.addEventListener("connectionstatechange", () => this.#follow());
    this.#channel.addEventListener("close", () => {
      // An answer may decline the data channel; such a session is for watching only.
      if (this.#connection.sctp !== null) this.#end(this.#endedByService || "The service ended the session.", true);
    });
  }

  /** Where the service keeps the session; null before its answer. */
  get address() {
    return this.#location?.href ?? null;
  }

  /** Whether the phone's sound comes too; false before the answer. */
  get hasSound() {
    return this.#sound.currentDirection === "recvonly";
  }

  /** @returns {Promise<RTCStatsReport>} */
  getStats() {
    return this.#connection.getStats();
  }

  /**
   * Offers at once, without waiting for candidates. Resolves with the answer applied; media follows (`connected`).
   *
   * @throws {Refusal} the service said no
   * @throws {TypeError | DOMException} it could not be reached, or not in time
   */
  async connect() {
    const { type, sdp: offer } = await this.#connection.createOffer();
    await this.#connection.setLocalDescription({ type, sdp: withStereo(offer ?? "") });
    this.offerSentAt = performance.now();
    const response = await fetch(this.#endpoint, {
      method: "POST",
      headers: this.#token.headers({ "Content-Type": "application/sdp", Accept: "application/sdp" }),
      body: this.#connection.localDescription?.sdp,
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    if (!response.ok) throw await Refusal.read(response);
    const location = response.headers.get("Location");
    if (location !== null) this.#location = new URL(location, response.url);
    this.#etag = response.headers.get("ETag") ?? "";
    const sdp = await response.text();
    if (this.#isClosed) return this.#delete();
    await this.#connection.setRemoteDescription({ type: "answer", sdp });
    if (this.#isClosed) return;
    if (this.hasSound) this.stream.addTrack(this.#sound.receiver.track);
    this.#transceiver.receiver.transport?.addEventListener("statechange", () => this.#follow());
    if (this.#connection.connectionState !== "connected") {
      this.#watch(CONNECT_TIMEOUT_MS, "The service answered, but its media port could not be reached.");
    }
    setTimeout(() => this.#trickle(), TRICKLE_DELAY_MS);
  }

  /** Ends the session and frees it on the service; also while the page is being left. Idempotent. */
  close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#watchdog);
    // The service forgets a session whose connection closes, so this comes first.
    this.#delete().finally(() => this.#connection.close());
  }

  /**
   * @param {string} reason
   * @param {boolean} isGone whether the service has already forgotten the session
   */
  #end(reason, isGone) {
    if (this.#isClosed) return;
    if (isGone) this.#location = null;
    // Told before the connection goes, while the last picture can still be kept.
    this.dispatchEvent(new CustomEvent("closed", { detail: /** @type {Closed} */ ({ reason }) }));
    this.close();
  }

  async #delete() {
    if (this.#location === null) return;
    const location = this.#location;
    this.#location = null;
    const signal = AbortSignal.timeout(DELETE_TIMEOUT_MS);
    // keepalive lets the request outlive the page. Unreachable is fine: the service ends silent sessions itself.
    const headers = this.#token.headers();
    await fetch(location, { method: "DELETE", headers, keepalive: true, signal }).catch(() => {});
  }

  /** Chromium says "connected" for seconds after the service closed, so the DTLS transport is watched as well. */
  #follow() {
    if (this.#isClosed) return;
    const dtls = this.#transceiver.receiver.transport?.state;
    if (dtls === "closed") return this.#end(this.#endedByService || "The service ended the session.", true);
    switch (this.#connection.connectionState) {
      case "connected":
        clearTimeout(this.#watchdog);
        this.dispatchEvent(new Event("connected"));
        break;
      case "disconnected":
        this.#watch(DISCONNECTED_GRACE_MS, "The network connection was lost.");
        break;
      case "failed":
        this.#end("No network path to the service's media port works.", false);
        break;
    }
  }

  /**
   * @param {number} milliseconds
   * @param {string} reason
   */
  #watch(milliseconds, reason) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#end(reason, false), milliseconds);
  }

  /** @param {RTCIceCandidate | null} candidate null when there will be no more */
  #gather(candidate) {
    if (candidate === null) this.#isGathered = true;
    else if (candidate.candidate) this.#candidates.push(candidate);
    if (this.#location !== null && !this.#isTrickling) setTimeout(() => this.#trickle(), TRICKLE_DELAY_MS);
  }

  /** Sends what was gathered since the last time, if it can still matter. One request at a time. */
  async #trickle() {
    if (this.#isClosed || this.#isTrickling || this.#location === null) return;
    const hasNews = this.#candidates.length > 0 || (this.#isGathered && !this.#isEndTold);
    if (this.#connection.connectionState === "connected" || !hasNews) return;
    const body = trickleFragment(this.#connection.localDescription?.sdp ?? "", this.#candidates, this.#isGathered);
    this.#candidates = [];
    this.#isEndTold = this.#isGathered;
    this.#isTrickling = true;
    const headers = this.#token.headers({ "Content-Type": "application/trickle-ice-sdpfrag" });
    if (this.#etag) headers["If-Match"] = this.#etag;
    const response = await fetch(this.#location, { method: "PATCH", headers, body }).catch(() => null);
    // A service that takes no trickle (RFC 9725 section 4.3.1: 405, 422, 501) is not asked again.
    if (response !== null && !response.ok) return;
    this.#isTrickling = false;
    this.#trickle();
  }
}

/**
 * The service sends H.264 only, and an offer without the other codecs is a third of the size.
 *
 * @param {RTCRtpTransceiver} transceiver
 */
function preferH264(transceiver) {
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  const useful = codecs.filter(({ mimeType }) => /^video\/(h264|rtx)$/i.test(mimeType));
  // A browser without H.264 offers what it has, and the service's refusal then names what is missing.
  if (useful.some(({ mimeType }) => /h264/i.test(mimeType))) transceiver.setCodecPreferences(useful);
}

/** @param {RTCRtpTransceiver} transceiver */
function preferOpus(transceiver) {
  const codecs = RTCRtpReceiver.getCapabilities("audio")?.codecs ?? [];
  const opus = codecs.filter(({ mimeType }) => /^audio\/opus$/i.test(mimeType));
  if (opus.length > 0) transceiver.setCodecPreferences(opus);
}

/**
 * The offer that asks for stereo, which browsers play only when their own description says so (RFC 7587 section 7).
 *
 * @param {string} sdp
 */
export function withStereo(sdp) {
  const [, payloadType] = /^a=rtpmap:(\d+) opus\/48000\/2\r?$/im.exec(sdp) ?? [];
  if (payloadType === undefined || /^a=fmtp:.*\bstereo=1/m.test(sdp)) return sdp;
  return sdp.replace(new RegExp(`^(a=fmtp:${payloadType} .*?)(\\r?)$`, "m"), "$1;stereo=1$2");
}

/**
 * An `application/trickle-ice-sdpfrag` body (RFC 8840 section 9); everything is bundled on the first m-section.
 *
 * @param {string} sdp our offer
 * @param {RTCIceCandidate[]} candidates
 * @param {boolean} isGathered
 */
export function trickleFragment(sdp, candidates, isGathered) {
  const lines = sdp.split(/\r?\n/);
  const wanted = ["a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:"];
  const head = wanted.map((prefix) => lines.find((line) => line.startsWith(prefix))).filter((line) => line);
  const addresses = candidates.map(({ candidate }) => `a=${candidate}`);
  const end = isGathered ? ["a=end-of-candidates"] : [];
  return [...head, ...addresses, ...end, ""].join("\r\n");
}
