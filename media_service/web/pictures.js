// @ts-check
/** What a video shows of a session: its first picture, live ones, and those after a gap. */

import { CatchUp } from "./catch-up.js";

/** After a replay a still screen sends nothing more; then this silence says that it is over. */
const SILENCE_MS = 120;

/**
 * Calls `first` at the first picture that is shown, and `caughtUp` once the pictures are live, with the
 * `performance.now()` since when they have been: it takes a few to tell.
 *
 * @param {HTMLVideoElement} video
 * @param {{isWanted: () => boolean, first: () => void, caughtUp: (since: number) => void}} listener nothing is called once it is not
 *   wanted any more
 */
export function followPictures(video, { isWanted, first, caughtUp }) {
  const catchUp = new CatchUp();
  let isFirst = true;
  let isOver = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let silence;
  const end = (isLive = false) => {
    if (isOver || !isWanted()) return;
    isOver = true;
    caughtUp(isLive ? (catchUp.since ?? performance.now()) : performance.now());
  };
  const shown = (/** @type {number} */ now, /** @type {{rtpTimestamp?: number}} */ metadata) => {
    clearTimeout(silence);
    if (isOver || !isWanted()) return;
    if (isFirst) first();
    isFirst = false;
    if (metadata.rtpTimestamp === undefined) return end();
    if (catchUp.picture(now, metadata.rtpTimestamp)) return end(true);
    silence = setTimeout(end, SILENCE_MS);
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback(shown);
}

/**
 * Calls `shown` at the first picture after this time.
 *
 * @param {HTMLVideoElement} video
 * @param {number} time `performance.now()`
 * @param {{isWanted: () => boolean, shown: () => void}} listener
 */
export function awaitPictureAfter(video, time, { isWanted, shown }) {
  const check = (/** @type {number} */ now) => {
    if (!isWanted()) return;
    if (now > time) shown();
    else video.requestVideoFrameCallback(check);
  };
  video.requestVideoFrameCallback(check);
}
