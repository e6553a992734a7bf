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

/** Joins anew; milliseconds from the click and the offer to the first picture and to the live ones, and the rest. */
const join = async (device) => {
  const clickedAt = performance.now();
  viewer().watch(device);
  await until(() => viewer().caughtUpAt !== null);
  const { offerSentAt, firstPictureAt, caughtUpAt } = viewer();
  const { framesDecoded, pliCount, packetsLost } = await inbound();
  const [first, live, click] = [firstPictureAt - offerSentAt, caughtUpAt - offerSentAt, firstPictureAt - clickedAt];
  return { click, first, live, framesDecoded, pliCount, packetsLost };
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

/**
 * Compares what is heard with what is seen, of a source that beeps at each whole second of the clock in its strip.
 *
 * Both are taken where they leave the decoder's side of the page: sound when the mixer has it, pictures when they are
 * handed to the compositor. What loudspeaker and display take then is not in it. The beep's own time and the strip's
 * are of one clock, so each delay is from the device to here, and the page's clock cancels out of their difference.
 *
 * @param {number} duration milliseconds
 * @returns {Promise<{skew: number, sound: number, picture: number, playout: number | null}[]>} of each beep,
 *   milliseconds: by how much it is later than its pictures, both delays, and the skew as webrtc-stats estimate it
 */
const skews = async (duration) => {
  const track = await until(() => viewer().hasSound && video().srcObject.getAudioTracks()[0]);
  const end = performance.now() + duration;
  const pictures = watchPictures(end);
  const [beeps, playouts] = await Promise.all([listenForBeeps(track.clone(), end), watchPlayout(end)]);
  return beeps.flatMap((heardAt) => {
    const beganAt = Math.floor((heardAt + 200) / 1000) * 1000;
    const near = pictures.filter(({ drawnAt }) => Math.abs(((beganAt - drawnAt) << 0)) < 250);
    const delays = near.map(({ shownAt, drawnAt }) => (shownAt - beganAt) + ((beganAt - drawnAt) << 0));
    if (delays.length < 2) return [];
    const picture = delays.reduce((sum, each) => sum + each, 0) / delays.length;
    const sound = heardAt - beganAt;
    const playout = playouts.find(({ at }) => at > heardAt)?.skew ?? null;
    return [{ skew: sound - picture, sound, picture, playout }];
  });
};

/** Fills the returned list with every picture: when it was drawn (modulo 2**32) and handed to the compositor. */
const watchPictures = (end) => {
  const found = [];
  const shown = (now, { presentationTime }) => {
    const seen = strip();
    if (seen !== null) found.push({ drawnAt: seen.drawnAt, shownAt: performance.timeOrigin + presentationTime });
    if (now < end) video().requestVideoFrameCallback(shown);
  };
  video().requestVideoFrameCallback(shown);
  return found;
};

/** Milliseconds from drawing to the compositor, of every picture for so many milliseconds. */
const pictureDelays = async (duration) => {
  const pictures = watchPictures(performance.now() + duration);
  await new Promise((resume) => setTimeout(resume, duration));
  return pictures.map(({ shownAt, drawnAt }) => (Math.floor(shownAt) - drawnAt) << 0);
};

const BEEP_LEVEL = 0.1;
const SILENCE_MS = 300;

/** When each beep began, in milliseconds since the epoch. */
const listenForBeeps = async (track, end) => {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const onsets = [];
  // The timestamps are of the moment when the mixer got the samples, on a clock whose zero is not told: what reached
  // this page soonest tells it.
  let zero = Infinity;
  let loudAt = NaN;
  while (performance.now() < end) {
    const { value: sound, done } = await reader.read();
    if (done) break;
    const at = sound.timestamp / 1000;
    zero = Math.min(zero, performance.now() - at);
    // A beep that is under way began at an unknown time.
    if (Number.isNaN(loudAt)) loudAt = at;
    const samples = new Float32Array(sound.numberOfFrames);
    sound.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    for (let index = 0; index < samples.length; index++) {
      if (Math.abs(samples[index]) < BEEP_LEVEL) continue;
      const now = at + (1000 * index) / sound.sampleRate;
      if (now - loudAt > SILENCE_MS) onsets.push(now);
      loudAt = now;
    }
    sound.close();
  }
  await reader.cancel();
  track.stop();
  return onsets.map((at) => performance.timeOrigin + zero + at);
};

/** What webrtc-stats estimate to be played at the same time: by how much the sound is older, in milliseconds. */
const watchPlayout = async (end) => {
  const found = [];
  while (performance.now() < end) {
    const entries = [...(await viewer().getStats()).values()].filter(({ type }) => type === "inbound-rtp");
    const [picture, sound] = ["video", "audio"].map(
      (kind) => entries.find((each) => each.kind === kind)?.estimatedPlayoutTimestamp,
    );
    if (picture && sound) found.push({ at: performance.timeOrigin + performance.now(), skew: picture - sound });
    await new Promise((resume) => setTimeout(resume, 500));
  }
  return found;
};

Object.assign(window, {
  viewer, video, strip, inbound, until, nextPicture, join, tap, delays, pictureDelays, skews,
});
