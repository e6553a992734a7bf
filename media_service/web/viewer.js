// @ts-check
/**
 * Watches and drives one phone, and comes back by itself after every lost connection.
 *
 *     import { PhoneViewer } from "https://media.example/viewer.js";
 *     const viewer = new PhoneViewer(document.querySelector("video"));
 *     viewer.addEventListener("state", () => console.log(viewer.state, viewer.reason));
 *     viewer.watch("192.168.1.2:5555");
 *
 * `<phone-viewer device="…">` of phone-viewer.js is the same with buttons, state and numbers around it.
 */

import { backoff } from "./backoff.js";
import { IceServers } from "./ice-servers.js";
import { awaitPictureAfter, followPictures } from "./pictures.js";
import { Refusal } from "./refusal.js";
import { Sound } from "./sound.js";
import { Sample, measure } from "./statistics.js";
import { Token } from "./token.js";
import { TouchInput } from "./touch.js";
import { TypingInput } from "./typing.js";
import { WhepSession } from "./whep.js";

/** @typedef {"idle" | "connecting" | "live" | "reconnecting" | "device-lost" | "unavailable"} ViewerState */
/** @typedef {import("./control.js").ServiceMessage} ServiceMessage */
/** @typedef {import("./statistics.js").Statistics} Statistics */
/** @typedef {import("./quality-menu.js").Quality} Quality */

/** @type {Quality} */
const UNKNOWN_QUALITY = { level: "", coding: "", reason: "", levels: [] };

const STATISTICS_PERIOD_MS = 1000;
/** A connection that lasted this long was a good one: the next loss is retried quickly again. */
const GOOD_CONNECTION_MS = 5000;
/** Asking again for what was refused changes less quickly than a network does. */
const REFUSED_RETRY_MS = 5000;
/** Pictures that come this long after the service lost the phone were taken since. */
const ON_THEIR_WAY_MS = 1000;

/**
 * Fires `state` on every change of state, reason or next try, `picture` at the first picture of a session, `caught-up`
 * when its pictures are live, `stats` once a second, `sound` when something about the sound changes, `quality` when
 * something about the quality does, and `message` (CustomEvent of ServiceMessage) for what the service says.
 */
export class PhoneViewer extends EventTarget {
  #video;
  #api;
  #token = new Token();
  #iceServers;
  #sound;
  #touch;
  #typing;
  /** @type {WhepSession | null} */
  #session = null;
  #device = "";
  #quality = "auto";
  /** @type {Quality} */
  #shownQuality = UNKNOWN_QUALITY;
  /** @type {ViewerState} */
  #state = "idle";
  #reason = "";
  /** What the service said about the phone; empty while all is well. */
  #deviceProblem = "";
  #failures = 0;
  #hasBeenLive = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} runs while the next try is waited for */
  #retryTimer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #statisticsTimer;
  /** @type {Sample | null} */
  #sample = null;
  #listening = new AbortController();

  /** When the next try begins (`performance.now()`); null while none is waited for, Infinity if only `retry` can. */
  retryAt = /** @type {number | null} */ (null);
  /** Of the present session, as `performance.now()`; null until then. */
  firstPictureAt = /** @type {number | null} */ (null);
  caughtUpAt = /** @type {number | null} */ (null);
  /** Sessions tried since `watch`. */
  attempts = 0;
  /** The last second's numbers. */
  stats = /** @type {Statistics | null} */ (null);
  /** The service's own of the session, named as in webrtc-stats; asked for only while `wantsServiceStats`. */
  serviceStats = /** @type {Record<string, unknown>} */ ({});
  wantsServiceStats = false;

  /**
   * @param {HTMLVideoElement} video
   * @param {object} [options]
   * @param {string | URL} [options.api] address of the API; by default `api/media` beside this module
   * @param {HTMLElement} [options.surface] takes the pointers instead of the video
   * @param {HTMLTextAreaElement} [options.keyboard] typed to while it has the focus
   * @param {string} [options.token] says to the service who watches, where it wants to know
   */
  constructor(video, { api = new URL("./api/media", import.meta.url), surface = video, keyboard, token = "" } = {}) {
    super();
    this.#video = video;
    this.#token.value = token;
    this.#api = new URL(`${String(new URL(api, document.baseURI)).replace(/\/+$/, "")}/`);
    this.#iceServers = new IceServers(new URL("ice-servers", this.#api), this.#token);
    this.#sound = new Sound(video);
    this.#sound.addEventListener("change", () => {
      if (this.#session) this.#chooseSound(this.#session);
      this.dispatchEvent(new Event("sound"));
    });
    video.autoplay = true;
    video.playsInline = true;
    this.#touch = new TouchInput(surface, video, {
      send: (message) => this.#session?.control.send(message) ?? false,
      takesMoves: () => this.#session?.control.takesMoves ?? true,
    });
    this.#typing = keyboard && new TypingInput(keyboard, {
      press: (keyCode) => this.press(keyCode),
      type: (text) => this.type(text),
    });
  }

  get device() {
    return this.#device;
  }

  /** Sent with every request from now on; what was refused is tried again with a new one. */
  get token() {
    return this.#token.value;
  }

  set token(token) {
    if (token === this.#token.value) return;
    this.#token.value = token;
    this.#iceServers.forget();
    if (this.#state === "unavailable") this.retry();
  }

  get state() {
    return this.#state;
  }

  /** Why the state is what it is, in words; empty while all is well. */
  get reason() {
    return this.#reason;
  }

  /** Whether the phone that is watched has sound. */
  get hasSound() {
    return this.#sound.isThere;
  }

  /** Whether the sound is off, as it is until it is set to false. The browser may still wait for a user's gesture. */
  get muted() {
    return this.#sound.isMuted;
  }

  set muted(muted) {
    this.#sound.isMuted = muted;
  }

  /** Whether sound should be heard and the browser waits for a user's gesture to let it. */
  get isSoundBlocked() {
    return this.#sound.isBlocked;
  }

  /** The level that was chosen, `auto` until then: kept while the page lasts, whatever becomes of the connection. */
  get quality() {
    return this.#quality;
  }

  set quality(level) {
    if (level === this.#quality) return;
    this.#quality = level;
    this.#session?.control.chooseQuality(level);
    this.dispatchEvent(new Event("quality"));
  }

  /** What is shown now, and what can be chosen beside `auto`; its level is empty while that is not known. */
  get shownQuality() {
    return this.#shownQuality;
  }

  /** When the present session's offer went out (`performance.now()`); null before. */
  get offerSentAt() {
    return this.#session?.offerSentAt ?? null;
  }

  /** Milliseconds from the last input to the service's word that the phone has it; null before the first. */
  get inputLatencyMs() {
    return this.#session?.control.latencyMs ?? null;
  }

  /** The session's address at the service, which a DELETE ends; null while there is none. */
  get sessionAddress() {
    return this.#session?.address ?? null;
  }

  /** @returns {Promise<RTCStatsReport | null>} webrtc-stats of the session; null while there is none */
  async getStats() {
    return (await this.#session?.getStats()) ?? null;
  }

  /**
   * Watches this phone from now on, until `stop`.
   *
   * @param {string} device its id
   */
  watch(device) {
    this.stop();
    this.#device = device;
    this.#sound.isThere = false;
    this.#showQuality(UNKNOWN_QUALITY);
    this.#failures = 0;
    this.#hasBeenLive = false;
    this.attempts = 0;
    this.#listening = new AbortController();
    const options = { signal: this.#listening.signal };
    addEventListener("online", () => this.#resume(), options);
    addEventListener("blur", () => this.#touch.release(), options);
    document.addEventListener("visibilitychange", () => document.hidden || this.#resume(), options);
    // The page may come back out of the browser's cache, so leaving it ends the session and not the watching.
    addEventListener("pagehide", () => this.#endSession(), options);
    addEventListener("pageshow", (event) => event.persisted && this.#attempt(), options);
    this.#attempt();
  }

  /** Ends the session and the tries. The video keeps its last picture. */
  stop() {
    this.#listening.abort();
    this.#endSession();
    this.#enter("idle", "");
  }

  /** Stops and takes no more input; the viewer cannot be used again. */
  close() {
    this.stop();
    this.#sound.close();
    this.#touch.close();
    this.#typing?.close();
  }

  /** Tries now, also what was refused for good; does nothing while a try is under way or all is well. */
  retry() {
    if (this.#session === null && this.#state !== "idle") this.#attempt();
  }

  /**
   * Presses one of the phone's keys.
   *
   * @param {number} keyCode Android's `KeyEvent.KEYCODE_*`
   * @returns {boolean} false when there is no connection to send it over, as with `type`
   */
  press(keyCode) {
    return this.#session?.control.send({ type: "key", action: "press", keyCode }) ?? false;
  }

  /** @param {string} text */
  type(text) {
    return this.#session?.control.sendText(text) ?? false;
  }

  /** Tries now instead of later. */
  #resume() {
    if (this.#retryTimer !== undefined) this.#attempt();
  }

  async #attempt() {
    this.#endSession();
    const attempt = ++this.attempts;
    const watching = this.#listening.signal;
    // What was refused stays said until there is something better to say.
    this.#enter(this.#state === "unavailable" ? "unavailable" : this.#beginning, this.#reason);
    const servers = await this.#iceServers.get();
    if (watching.aborted || attempt !== this.attempts) return;
    const endpoint = new URL(`whep/${encodeURIComponent(this.#device)}`, this.#api);
    const session = new WhepSession(endpoint, servers, this.#token);
    const asked = this.#token.value;
    this.#session = session;
    this.#follow(session);
    try {
      const answered = session.connect();
      this.#video.srcObject = session.stream;
      this.#video.play().catch((error) => this.#cannotPlay(error));
      await answered;
      if (this.#session !== session) return;
      this.#sound.isThere = session.hasSound;
      if (this.#state === "unavailable") this.#enter(this.#beginning, "");
    } catch (error) {
      if (this.#session !== session) return;
      // What a token of before was told is of no interest.
      if (asked !== this.#token.value) this.#attempt();
      else if (error instanceof Refusal) this.#refused(error);
      else this.#lost(words(error));
    }
  }

  /** @returns {ViewerState} */
  get #beginning() {
    return this.#hasBeenLive ? "reconnecting" : "connecting";
  }

  /** @param {WhepSession} session */
  #follow(session) {
    const isCurrent = () => this.#session === session;
    session.addEventListener("closed", (event) => {
      if (isCurrent()) this.#lost(/** @type {CustomEvent<{reason: string}>} */ (event).detail.reason);
    });
    session.control.addEventListener("message", (event) => {
      if (isCurrent()) this.#hear(/** @type {CustomEvent<ServiceMessage>} */ (event).detail);
    });
    session.control.addEventListener("open", () => {
      if (!isCurrent()) return;
      this.#chooseSound(session);
      if (this.#quality !== "auto") session.control.chooseQuality(this.#quality);
    });
    session.addEventListener("connected", () => {
      clearInterval(this.#statisticsTimer);
      if (isCurrent()) this.#statisticsTimer = setInterval(() => this.#measure(session), STATISTICS_PERIOD_MS);
    });
    followPictures(this.#video, {
      isWanted: isCurrent,
      first: () => this.#showFirstPicture(),
      caughtUp: (since) => this.#showLivePictures(since),
    });
  }

  /** @param {WhepSession} session */
  #chooseSound(session) {
    if (session.hasSound) session.control.chooseSound(!this.#video.muted);
  }

  #showFirstPicture() {
    this.firstPictureAt = performance.now();
    this.#hasBeenLive = true;
    this.dispatchEvent(new Event("picture"));
    this.#enter(this.#deviceProblem ? "device-lost" : "live", this.#deviceProblem);
  }

  /** @param {number} since */
  #showLivePictures(since) {
    this.caughtUpAt = Math.max(since, this.firstPictureAt ?? since);
    this.dispatchEvent(new Event("caught-up"));
  }

  /** @param {ServiceMessage} message */
  #hear(message) {
    const { type, state, reason, code } = message;
    if (type === "device-state") {
      this.#deviceProblem = state === "online" ? "" : reason || `The phone is ${state}.`;
      if (this.firstPictureAt === null) this.#enter(this.#beginning, this.#deviceProblem);
      else this.#enter(this.#deviceProblem ? "device-lost" : "live", this.#deviceProblem);
      if (this.#deviceProblem) this.#awaitDevice();
    }
    if (type === "stream-state") {
      const { quality: level = "", coding = "", qualityReason = "", levels = [] } = message;
      this.#showQuality({ level, coding, reason: qualityReason, levels });
    }
    // What was chosen on another connection, or a moment ago, may not be there any more.
    if (type === "error" && code === "quality_unavailable") this.quality = "auto";
    if (type === "stats") this.serviceStats = message.stats ?? {};
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  /** @param {Quality} quality */
  #showQuality(quality) {
    this.#shownQuality = quality;
    this.dispatchEvent(new Event("quality"));
  }

  /** Pictures prove better than any message that the phone is back, except those that were already on their way. */
  #awaitDevice() {
    const session = this.#session;
    awaitPictureAfter(this.#video, performance.now() + ON_THEIR_WAY_MS, {
      isWanted: () => this.#session === session && this.#state === "device-lost",
      shown: () => this.#enter("live", (this.#deviceProblem = "")),
    });
  }

  /** @param {string} reason */
  #lost(reason) {
    const lasted = this.firstPictureAt === null ? 0 : performance.now() - this.firstPictureAt;
    if (lasted > GOOD_CONNECTION_MS) this.#failures = 0;
    this.#retryIn(backoff(this.#failures, Math.random()), this.#beginning, reason);
  }

  /** @param {Refusal} refusal */
  #refused(refusal) {
    if (!refusal.isTemporary) {
      this.#enter("unavailable", refusal.message, Infinity);
      return this.#endSession();
    }
    const patience = this.#failures === 0 ? 0 : REFUSED_RETRY_MS;
    const wait = Math.max(refusal.retryAfterMs ?? patience, backoff(this.#failures, Math.random()));
    this.#retryIn(wait, "unavailable", refusal.message);
  }

  /**
   * @param {number} milliseconds
   * @param {ViewerState} state
   * @param {string} reason
   */
  #retryIn(milliseconds, state, reason) {
    this.#failures += 1;
    // Announced before the session goes, while its last picture can still be kept.
    this.#enter(state, reason, performance.now() + milliseconds);
    this.#endSession();
    this.#retryTimer = setTimeout(() => this.#attempt(), milliseconds);
  }

  #endSession() {
    clearTimeout(this.#retryTimer);
    clearInterval(this.#statisticsTimer);
    this.#retryTimer = undefined;
    this.#touch.release();
    const session = this.#session;
    this.#session = null;
    session?.close();
    this.#sample = null;
    this.#deviceProblem = "";
    this.stats = null;
    this.serviceStats = {};
    this.firstPictureAt = this.caughtUpAt = null;
  }

  /**
   * @param {ViewerState} state
   * @param {string} reason
   * @param {number | null} retryAt
   */
  #enter(state, reason, retryAt = null) {
    if (state === this.#state && reason === this.#reason && retryAt === this.retryAt) return;
    this.#state = state;
    this.#reason = reason;
    this.retryAt = retryAt;
    this.dispatchEvent(new Event("state"));
  }

  /** @param {unknown} error */
  #cannotPlay(error) {
    if (error instanceof DOMException && error.name === "NotAllowedError") {
      this.#enter(this.#state, "The browser does not start the video by itself. Touch the picture to start it.");
      this.#video.addEventListener("click", () => this.#video.play().catch(() => {}), { once: true });
    }
  }

  /** @param {WhepSession} session */
  async #measure(session) {
    if (document.visibilityState === "hidden") return;
    const sample = new Sample(/** @type {any} */ (await session.getStats()));
    if (this.#session !== session) return;
    this.stats = measure(this.#sample, sample);
    this.#sample = sample;
    if (this.wantsServiceStats) session.control.askForStatistics();
    this.dispatchEvent(new Event("stats"));
  }
}

/** @param {unknown} error why a session could not begin */
function words(error) {
  if (!navigator.onLine) return "This computer is offline.";
  if (error instanceof TypeError) return "The service cannot be reached.";
  if (error instanceof DOMException && error.name === "TimeoutError") return "The service does not answer.";
  return `The service's answer cannot be used: ${error instanceof Error ? error.message : error}`;
}
