// @ts-check
/** Whether a phone is heard: browsers let a page make sound only after a user's gesture, so it begins muted. */

const GESTURES = ["pointerup", "keydown"];

/** Fires `change` whenever one of its properties changes. */
export class Sound extends EventTarget {
  #video;
  #isThere = false;
  #isMuted = true;
  /** @type {AbortController | null} there while a gesture is waited for */
  #waiting = null;

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    super();
    this.#video = video;
    video.muted = true;
  }

  /** Whether the session has sound. */
  get isThere() {
    return this.#isThere;
  }

  set isThere(isThere) {
    if (isThere === this.#isThere) return;
    this.#isThere = isThere;
    this.#apply();
    this.dispatchEvent(new Event("change"));
  }

  /** What was chosen. */
  get isMuted() {
    return this.#isMuted;
  }

  set isMuted(isMuted) {
    // Set again, sound that was blocked is tried again.
    if (isMuted === this.#isMuted && !this.isBlocked) return;
    this.#isMuted = isMuted;
    this.#apply();
    this.dispatchEvent(new Event("change"));
  }

  /** Whether sound is there and was chosen, but the browser waits for a gesture. */
  get isBlocked() {
    return this.#waiting !== null;
  }

  /** Waits for nothing more. */
  close() {
    this.#waiting?.abort();
    this.#waiting = null;
  }

  #apply() {
    this.close();
    if (this.#isMuted || !this.#isThere) this.#video.muted = true;
    // A browser that does not tell about gestures says what it thinks when the sound begins.
    else if (navigator.userActivation?.hasBeenActive ?? true) this.#unmute();
    else this.#awaitGesture();
  }

  #unmute() {
    this.#video.muted = false;
    this.#video.play().catch((error) => {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || this.#video.muted) return;
      // The picture goes on without.
      this.#video.muted = true;
      this.#video.play().catch(() => {});
      this.#awaitGesture();
      this.dispatchEvent(new Event("change"));
    });
  }

  #awaitGesture() {
    this.close();
    this.#waiting = new AbortController();
    const listen = { capture: true, signal: this.#waiting.signal };
    const heard = (/** @type {Event} */ event) => {
      // What a button does is said by its click, which comes after this.
      if (event.composedPath().some((each) => each instanceof HTMLButtonElement)) return;
      // Escape, for one, does not count.
      if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return;
      this.#apply();
      this.dispatchEvent(new Event("change"));
    };
    for (const gesture of GESTURES) addEventListener(gesture, heard, listen);
  }
}
