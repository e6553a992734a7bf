// @ts-check
/** A session's numbers out of two `getStats` reports (webrtc-stats); pure. */

/**
 * @typedef {object} Statistics Rates and averages are of the time between the two reports; null means not known.
 * @property {number | null} framesPerSecond pictures decoded
 * @property {number | null} bitsPerSecond received, with packet headers
 * @property {number | null} roundTripMs to the service
 * @property {number | null} lossPercent of the packets, before retransmission
 * @property {number | null} jitterBufferMs average stay of a picture
 * @property {number | null} decodeMs average per picture
 * @property {number | null} delayMs network (half of the round trip) + jitter buffer + decoding; not glass to glass
 * @property {number} framesDecoded since the session began, as the following
 * @property {number} framesDropped
 * @property {number} freezes
 * @property {number} freezeMs
 * @property {number} packetsLost
 * @property {number} retransmitted packets that came by retransmission
 * @property {number} keyframesDecoded
 * @property {number} keyframeRequests
 * @property {number} width
 * @property {number} height
 * @property {string} codec with profile and level as negotiated
 * @property {string} soundCodec empty while no sound was received
 * @property {number | null} soundBitsPerSecond received, with packet headers
 * @property {number | null} soundBufferMs average stay of a sample
 * @property {number | null} soundMadeUpPercent of the samples played: what was lost or late, and not silence
 * @property {string} path kinds of the two addresses and the protocol between them
 */

/** @typedef {Record<string, any>} Report One entry of an `RTCStatsReport`. */

const PROFILES = new Map([
  ["42e0", "Constrained Baseline"],
  ["42c0", "Constrained Baseline"],
  ["4200", "Baseline"],
  ["4d00", "Main"],
  ["6400", "High"],
  ["640c", "Constrained High"],
  ["f400", "High 4:4:4"],
]);

/** What one report says; `measure` compares two. */
export class Sample {
  /** @param {Iterable<[string, Report]>} entries an `RTCStatsReport` */
  constructor(entries) {
    const byId = new Map(entries);
    const all = [...byId.values()];
    /** @type {Report} */
    this.inbound = all.find(({ type, kind }) => type === "inbound-rtp" && kind === "video") ?? {};
    /** @type {Report} */
    this.sound = all.find(({ type, kind }) => type === "inbound-rtp" && kind === "audio") ?? {};
    /** @type {Report} */
    this.soundCodec = byId.get(this.sound.codecId) ?? {};
    /** @type {Report} */
    this.codec = byId.get(this.inbound.codecId) ?? {};
    const transport = all.find(({ type }) => type === "transport");
    /** @type {Report} Firefox names no selected pair on the transport and marks the pair instead. */
    this.pair = byId.get(transport?.selectedCandidatePairId)
      ?? all.find(({ type, nominated, state }) => type === "candidate-pair" && nominated && state === "succeeded")
      ?? {};
    /** @type {Report} */
    this.local = byId.get(this.pair.localCandidateId) ?? {};
    /** @type {Report} */
    this.remote = byId.get(this.pair.remoteCandidateId) ?? {};
  }
}

/**
 * @param {Sample | null} before null for the first report
 * @param {Sample} after
 * @returns {Statistics}
 */
export function measure(before, after) {
  const now = after.inbound;
  const then = before?.inbound ?? {};
  /** @param {string} name @returns {number} how much it grew */
  const growth = (name) => (now[name] ?? 0) - (then[name] ?? 0);
  /** @param {string} name @returns {number} how much it grew, of the sound */
  const soundGrowth = (name) => (after.sound[name] ?? 0) - (before?.sound[name] ?? 0);
  const seconds = before === null ? 0 : growth("timestamp") / 1000;

  const packets = growth("packetsReceived") + growth("packetsLost");
  const roundTripMs = thousandfold(after.pair.currentRoundTripTime);
  const jitterBufferMs = thousandfold(ratio(growth("jitterBufferDelay"), growth("jitterBufferEmittedCount")));
  const decodeMs = thousandfold(ratio(growth("totalDecodeTime"), growth("framesDecoded")));
  return {
    framesPerSecond: ratio(growth("framesDecoded"), seconds),
    bitsPerSecond: ratio(8 * (growth("bytesReceived") + growth("headerBytesReceived")), seconds),
    roundTripMs,
    // A duplicate counts as minus one lost packet (RFC 3550 appendix A.3).
    lossPercent: packets > 0 ? Math.max(0, (100 * growth("packetsLost")) / packets) : null,
    jitterBufferMs,
    decodeMs,
    delayMs:
      roundTripMs === null || jitterBufferMs === null || decodeMs === null
        ? null
        : roundTripMs / 2 + jitterBufferMs + decodeMs,
    framesDecoded: now.framesDecoded ?? 0,
    framesDropped: now.framesDropped ?? 0,
    freezes: now.freezeCount ?? 0,
    freezeMs: 1000 * (now.totalFreezesDuration ?? 0),
    packetsLost: now.packetsLost ?? 0,
    retransmitted: now.retransmittedPacketsReceived ?? 0,
    keyframesDecoded: now.keyFramesDecoded ?? 0,
    keyframeRequests: (now.pliCount ?? 0) + (now.firCount ?? 0),
    width: now.frameWidth ?? 0,
    height: now.frameHeight ?? 0,
    codec: codecName(after.codec),
    soundCodec: after.sound.packetsReceived ? codecName(after.soundCodec) : "",
    soundBitsPerSecond: ratio(8 * (soundGrowth("bytesReceived") + soundGrowth("headerBytesReceived")), seconds),
    soundBufferMs: thousandfold(ratio(soundGrowth("jitterBufferDelay"), soundGrowth("jitterBufferEmittedCount"))),
    soundMadeUpPercent: hundredfold(
      ratio(soundGrowth("concealedSamples") - soundGrowth("silentConcealedSamples"), soundGrowth("totalSamplesReceived")),
    ),
    path: pathName(after),
  };
}

/**
 * The codec in words, as `H.264 Constrained Baseline 3.1` (RFC 6184 section 8.1: profile_idc, constraints, level_idc).
 *
 * @param {Report} codec
 */
export function codecName({ mimeType = "", sdpFmtpLine = "" }) {
  if (/^audio\/opus$/i.test(mimeType)) return /\bstereo=1/.test(sdpFmtpLine) ? "Opus stereo" : "Opus mono";
  const name = String(mimeType).replace(/^video\//i, "").replace(/^h264$/i, "H.264");
  const [, profile, level] = /profile-level-id=([0-9a-f]{4})([0-9a-f]{2})/i.exec(sdpFmtpLine) ?? [];
  if (profile === undefined) return name;
  const words = PROFILES.get(profile.toLowerCase()) ?? `profile ${profile}`;
  return `${name} ${words} ${(Number.parseInt(level, 16) / 10).toFixed(1)}`;
}

/** @param {Sample} sample */
function pathName({ local, remote }) {
  if (!remote.candidateType) return "";
  const relay = local.relayProtocol ? ` over ${local.relayProtocol}` : "";
  return `${local.candidateType} → ${remote.candidateType}, ${remote.protocol}${relay}`;
}

/**
 * @param {number} part
 * @param {number} whole
 */
function ratio(part, whole) {
  return whole > 0 ? part / whole : null;
}

/** @param {number | null} part */
function hundredfold(part) {
  return part === null ? null : 100 * part;
}

/** @param {number | null | undefined} seconds */
function thousandfold(seconds) {
  return typeof seconds === "number" ? seconds * 1000 : null;
}
