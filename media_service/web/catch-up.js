// @ts-check
/** Tells when pictures come as they are taken, after a join that replays the last seconds in fast-forward; pure. */

const VIDEO_CLOCK_HZ = 90000; // RFC 6184 section 8.1
/** Long enough that a single early or late picture does not decide. */
const WINDOW_MS = 80;

export class CatchUp {
  /** @type {{now: number, mediaTime: number}[]} */
  #shown = [];

  /** When the pictures that were looked at began: live ones have been live since then. */
  get since() {
    return this.#shown[0]?.now ?? null;
  }

  /**
   * Takes a shown picture. Media time that runs as the clock does means live; in a replay it does not.
   *
   * @param {number} now milliseconds, when it was shown
   * @param {number} rtpTimestamp
   * @returns {boolean} whether the pictures are live
   */
  picture(now, rtpTimestamp) {
    const last = this.#shown.at(-1);
    // Unwraps the 32-bit timestamp: the difference of two near pictures is small, whichever side of zero they are on.
    const step = last === undefined ? 0 : ((rtpTimestamp - last.mediaTime) | 0);
    this.#shown.push({ now, mediaTime: (last?.mediaTime ?? rtpTimestamp) + step });
    while (this.#shown.length > 2 && now - this.#shown[1].now >= WINDOW_MS) this.#shown.shift();
    const first = this.#shown[0];
    const elapsed = now - first.now;
    if (elapsed < WINDOW_MS) return false;
    const mediaElapsed = ((this.#shown[this.#shown.length - 1].mediaTime - first.mediaTime) / VIDEO_CLOCK_HZ) * 1000;
    const pace = mediaElapsed / elapsed;
    return pace > 0.7 && pace < 1.4;
  }
}
