// @ts-check
/**
 * What tests and benchmarks look at the viewer page with; strip.js of the demo phone stands before it.
 *
 * @typedef {{touches: number, frameNumber: number, drawnAt: number}} Strip
 */

const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const element = () => document.querySelector("phone-viewer");

const viewer = () => element().viewer;
const video = () => element().shadowRoot.querySelector("video");
/** @returns {Strip | null} */
const strip = () => readVideoStrip(video(), context);

/** The video's statistics, as webrtc-stats has them. */
const inbound = async () => {
  const report = await viewer().getStats();
  return [...report.values()].find((each) => each.type === "inbound-rtp" && each.kind === "video");
};

/** Waits until `condition` gives something, which it returns. */
const until = async (condition, timeout = 15000) => {
  const end = performance.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value) return value;
    const { state, reason } = viewer();
    if (performance.now() > end) throw new Error(`never came true: ${condition}; the viewer is ${state} ${reason}`);
    await new Promise((resume) => setTimeout(resume, 10));
  }
};

/** The next picture that is shown. */
const nextPicture = () => new Promise((shown) => video().requestVideoFrameCallback(() => shown(strip())));

/** Joins anew; milliseconds from the offer to the first picture and to the live ones, and the pictures between. */
const join = async (device) => {
  viewer().watch(device);
  await until(() => viewer().caughtUpAt !== null);
  const { offerSentAt, firstPictureAt, caughtUpAt } = viewer();
  const { framesDecoded, pliCount, packetsLost } = await inbound();
  return { first: firstPictureAt - offerSentAt, live: caughtUpAt - offerSentAt, framesDecoded, pliCount, packetsLost };
};

/** Taps; milliseconds until the picture with one more touch is shown. */
const tap = async () => {
  const { touches } = await until(strip);
  const { left, top, width, height } = video().getBoundingClientRect();
  const place = { clientX: left + width / 2, clientY: top + height / 2, pointerId: 1, bubbles: true, button: 0 };
  const begin = performance.now();
  video().dispatchEvent(new PointerEvent("pointerdown", { ...place, buttons: 1 }));
  video().dispatchEvent(new PointerEvent("pointerup", place));
  const wanted = (touches + 1) % 256;
  for (;;) {
    const now = await nextPicture();
    if (now?.touches === wanted) return performance.now() - begin;
    if (performance.now() - begin > 10000) throw new Error("the touch never came back");
  }
};

/** Milliseconds from drawing to showing, of every picture shown for so many milliseconds. */
const delays = async (duration) => {
  const found = [];
  const end = performance.now() + duration;
  while (performance.now() < end) {
    const now = await Promise.race([nextPicture(), new Promise((resume) => setTimeout(resume, 1000, null))]);
    if (now !== null) found.push((Date.now() - now.drawnAt) | 0);
  }
  return found;
};

Object.assign(window, { viewer, video, strip, inbound, until, join, tap, delays });
