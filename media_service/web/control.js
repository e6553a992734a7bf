// @ts-check
/** The data channel `control`: input to the phone, acknowledgements and news from the service (contract section 4). */

/**
 * @typedef {{type: "touch", action: "down" | "move" | "up", x: number, y: number, width: number, height: number,
 *            pointerId: number}
 *         | {type: "key", action: "press", keyCode: number}
 *         | {type: "text", text: string}} InputMessage
 */
/** @typedef {{type: string, state?: string, reason?: string, code?: string, detail?: string,
 *            screen?: string, quality?: string, coding?: string, qualityReason?: string, levels?: string[],
 *            stats?: Record<string, unknown>}} ServiceMessage */

/** Unacknowledged inputs whose times are remembered; a service that never acknowledges costs no more than this. */
const REMEMBERED = 256;
/** Finger moves under way at once. Shell `input` on a phone takes tens of milliseconds each: more would lag behind. */
const MOVES_IN_FLIGHT = 4;
const BUFFERED_LIMIT_BYTES = 65536;
/** Characters of text that the service takes in one message. */
const TEXT_LIMIT = 4096;

/** Fires `open`, and `message` (CustomEvent of ServiceMessage) for whatever is not an acknowledgement. */
export class ControlChannel extends EventTarget {
  /** @type {RTCDataChannel} */
  #channel;
  #sequence = 0;
  /** @type {Map<number, {sentAt: number, isMove: boolean}>} */
  #unacknowledged = new Map();
  #movesInFlight = 0;
  #isAcknowledging = false;

  /** Milliseconds from the last acknowledged input to its acknowledgement; null before the first. */
  latencyMs = /** @type {number | null} */ (null);

  /** @param {RTCDataChannel} channel */
  constructor(channel) {
    super();
    this.#channel = channel;
    channel.addEventListener("open", () => this.dispatchEvent(new Event("open")));
    channel.addEventListener("message", (event) => this.#receive(event.data));
  }

  /** Whether another finger move may be sent now; a held one is replaced by its successor, never queued. */
  get takesMoves() {
    if (this.#channel.bufferedAmount > BUFFERED_LIMIT_BYTES) return false;
    return !this.#isAcknowledging || this.#movesInFlight < MOVES_IN_FLIGHT;
  }

  /**
   * @param {string} text of any length
   * @returns {boolean} as `send`
   */
  sendText(text) {
    // By code points: a surrogate pair is never cut in two.
    const characters = Array.from(text);
    let isSent = true;
    for (let start = 0; start < characters.length; start += TEXT_LIMIT) {
      isSent &&= this.send({ type: "text", text: characters.slice(start, start + TEXT_LIMIT).join("") });
    }
    return isSent;
  }

  /**
   * @param {InputMessage} message
   * @returns {boolean} false when the channel is not open: the input is then lost
   */
  send(message) {
    if (this.#channel.readyState !== "open") return false;
    this.#sequence += 1;
    const isMove = message.type === "touch" && message.action === "move";
    this.#channel.send(JSON.stringify({ ...message, seq: this.#sequence }));
    this.#unacknowledged.set(this.#sequence, { sentAt: performance.now(), isMove });
    if (isMove) this.#movesInFlight += 1;
    if (this.#unacknowledged.size > REMEMBERED) this.#forget(this.#unacknowledged.keys().next().value ?? 0);
    return true;
  }

  /**
   * Says whether the sound is heard: the service does not send what is not, and pictures need not wait for it.
   *
   * @param {boolean} isHeard
   */
  chooseSound(isHeard) {
    this.#say({ type: "sound", action: isHeard ? "on" : "off" });
  }

  /** @param {string} level `auto`, `source` or one that the service named, as `480p` */
  chooseQuality(level) {
    this.#say({ type: "quality", level });
  }

  /** Asks for the service's numbers of this session, which come as a message of the type `stats`. */
  askForStatistics() {
    this.#say({ type: "stats" });
  }

  /** @param {object} message one that is not acknowledged */
  #say(message) {
    if (this.#channel.readyState === "open") this.#channel.send(JSON.stringify(message));
  }

  /** @param {unknown} data */
  #receive(data) {
    const message = parse(data);
    if (message === null) return;
    if (typeof message.seq === "number") {
      const sent = this.#forget(message.seq);
      if (sent !== undefined) {
        this.#isAcknowledging = true;
        if (message.type === "input-ack") this.latencyMs = performance.now() - sent.sentAt;
        this.dispatchEvent(new Event("acknowledged"));
      }
    }
    if (message.type !== "input-ack") this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  /** @param {number} sequence */
  #forget(sequence) {
    const sent = this.#unacknowledged.get(sequence);
    if (sent === undefined) return undefined;
    this.#unacknowledged.delete(sequence);
    if (sent.isMove) this.#movesInFlight -= 1;
    return sent;
  }
}

/**
 * @param {unknown} data
 * @returns {ServiceMessage & {seq?: unknown} | null} null for what is not a message of ours
 */
function parse(data) {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data);
    return message !== null && typeof message === "object" && typeof message.type === "string" ? message : null;
  } catch {
    return null;
  }
}
