// @ts-check
/**
 * Reads the demo phone's strip out of a picture; strip.py has its layout.
 *
 * @typedef {object} Strip
 * @property {number} frameNumber pictures drawn so far, modulo 2**24
 * @property {number} drawnAt milliseconds since the epoch, modulo 2**32
 * @property {number} touches touches so far, modulo 256
 */

const COLUMNS = 40;
const PICTURE_ROWS = 80;
const SYNC = 0xb2;
const LEAST_CONTRAST = 40;

/**
 * @param {HTMLVideoElement} video
 * @param {OffscreenCanvasRenderingContext2D} context of a canvas of any size, which takes the video's
 * @returns {Strip | null} null when there is no strip, or a damaged one
 */
export function readVideoStrip(video, context) {
  const { videoWidth: width, videoHeight: height } = video;
  if (width === 0) return null;
  const top = Math.floor((height * (PICTURE_ROWS - 2)) / PICTURE_ROWS);
  const { canvas } = context;
  if (canvas.width !== width || canvas.height !== height - top) Object.assign(canvas, { width, height: height - top });
  context.drawImage(video, 0, top, width, height - top, 0, 0, width, height - top);
  const { data } = context.getImageData(0, 0, width, height - top);
  const samples = [];
  for (let row = 0; row < 2; row++) {
    for (let column = 0; column < COLUMNS; column++) {
      const x = Math.floor((width * (column + 0.5)) / COLUMNS);
      const y = Math.floor((height * (PICTURE_ROWS - 1.5 + row)) / PICTURE_ROWS) - top;
      // Green is most of the brightness, and the cells are black or white.
      samples.push(data[4 * (y * width + x) + 1]);
    }
  }
  return decode(samples);
}

/**
 * @param {number[]} samples brightness of the 80 cells
 * @returns {Strip | null}
 */
function decode(samples) {
  const darkest = Math.min(...samples);
  const brightest = Math.max(...samples);
  if (brightest - darkest < LEAST_CONTRAST) return null;
  const bytes = Array.from({ length: 10 }, (_, index) =>
    samples.slice(8 * index, 8 * index + 8).reduce((byte, sample) => 2 * byte + (2 * sample > darkest + brightest ? 1 : 0), 0),
  );
  if (bytes[0] !== SYNC || crc8(bytes.slice(0, 9)) !== bytes[9]) return null;
  const number = (/** @type {number[]} */ part) => part.reduce((sum, byte) => 256 * sum + byte, 0);
  return { frameNumber: number(bytes.slice(1, 4)), drawnAt: number(bytes.slice(4, 8)), touches: bytes[8] };
}

/** @param {number[]} bytes */
function crc8(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x80 ? 0x107 : 0)) & 0x1ff;
    crc &= 0xff;
  }
  return crc;
}
