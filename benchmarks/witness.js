// @ts-check
/**
 * Notes what a viewer of one phone gets to see and to hear of it, picture by picture; instruments.js stands before it.
 *
 * @typedef {[shownAt: number, drawnAt: number, width: number, height: number]} ShownPicture milliseconds since the
 *   epoch, of the picture's way to the compositor and of its drawing on the phone; pixels
 * @typedef {{at: number, type: string, state: string, reason: string}} Told
 */

const noted = {
  /** @type {ShownPicture[]} */ pictures: [],
  /** Pictures whose strip cannot be read: broken ones, or those of another screen. @type {number[]} */ unreadable: [],
  /** @type {Told[]} */ told: [],
};

const letterbox = new OffscreenCanvas(1, 1);
const letterboxContext = letterbox.getContext("2d");
const stripContext = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

/** The picture that is shown now. While the size changes, the video element may have one and its picture the other. */
const takePicture = () => {
  const picture = new VideoFrame(video());
  return Object.assign(picture, { videoWidth: picture.displayWidth, videoHeight: picture.displayHeight });
};

/** The strip of a picture that was turned while its video was not: Android then puts it into the middle, on black. */
const turnedStrip = (picture) => {
  const { videoWidth, videoHeight } = picture;
  const scale = Math.min(videoWidth / videoHeight, videoHeight / videoWidth);
  const [width, height] = [Math.round(videoHeight * scale), Math.round(videoWidth * scale)];
  Object.assign(letterbox, { width, height, videoWidth: width, videoHeight: height });
  const [left, top] = [(videoWidth - width) / 2, (videoHeight - height) / 2];
  letterboxContext.drawImage(picture, left, top, width, height, 0, 0, width, height);
  return readVideoStrip(letterbox, stripContext);
};

const notePictures = () => {
  const shown = (_, { presentationTime }) => {
    video().requestVideoFrameCallback(shown);
    const shownAt = Math.floor(performance.timeOrigin + presentationTime);
    const picture = takePicture();
    const seen = readVideoStrip(picture, stripContext) ?? turnedStrip(picture);
    if (seen === null) noted.unreadable.push(shownAt);
    else {
      // The strip has the time modulo 2**32.
      const age = (shownAt - seen.drawnAt) << 0;
      noted.pictures.push([shownAt, shownAt - age, picture.videoWidth, picture.videoHeight]);
    }
    picture.close();
  };
  video().requestVideoFrameCallback(shown);
};

const noteWords = () => {
  const note = (type, { state, reason }) =>
    noted.told.push({ at: performance.timeOrigin + performance.now(), type, state, reason: reason ?? "" });
  viewer().addEventListener("state", () => note("viewer", viewer()));
  viewer().addEventListener("message", ({ detail }) => {
    if (detail.type.endsWith("-state")) note(detail.type, detail);
  });
};

/** What was noted since the last time. */
const takeNotes = () => {
  const { pictures, unreadable, told } = noted;
  Object.assign(noted, { pictures: [], unreadable: [], told: [] });
  return { pictures, unreadable, told };
};

/** Everything by which one would know that the session is another one, and what its decoder has gone through. */
const receipt = async () => {
  const { ssrc, framesDecoded, framesDropped, freezeCount, totalFreezesDuration, pliCount, nackCount, packetsLost } =
    await inbound();
  return {
    session: viewer().sessionAddress,
    attempts: viewer().attempts,
    connections: window.negotiations.length,
    signalingStates: window.negotiations.flat(),
    ssrc,
    framesDecoded,
    framesDropped,
    freezeCount,
    totalFreezesDuration,
    pliCount,
    nackCount,
    packetsLost,
  };
};

notePictures();
noteWords();
Object.assign(window, { takeNotes, receipt });
