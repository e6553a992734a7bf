// @ts-check
/** From points of the page to pixels of the video; pure. */

/** @typedef {{left: number, top: number, width: number, height: number}} Box A place on the page, in CSS pixels. */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {{x: number, y: number}} Point */

/**
 * The part of `box` that a picture of this size covers under `object-fit: contain`.
 *
 * @param {Box} box
 * @param {Size} picture
 * @returns {Box}
 */
export function pictureBox(box, picture) {
  const scale = Math.min(box.width / picture.width, box.height / picture.height);
  const width = picture.width * scale;
  const height = picture.height * scale;
  return { left: box.left + (box.width - width) / 2, top: box.top + (box.height - height) / 2, width, height };
}

/**
 * The pixel of the picture under a point of the page, the nearest one when the point is outside.
 *
 * @param {Point} point `clientX` and `clientY`
 * @param {Box} box where the video element is, as `getBoundingClientRect` says
 * @param {Size} picture the video's own size
 * @returns {Point & {inside: boolean} | null} null when there is nothing to point at yet
 */
export function pictureCoordinates(point, box, picture) {
  if (!(picture.width > 0 && picture.height > 0 && box.width > 0 && box.height > 0)) return null;
  const shown = pictureBox(box, picture);
  const x = Math.floor(((point.x - shown.left) / shown.width) * picture.width);
  const y = Math.floor(((point.y - shown.top) / shown.height) * picture.height);
  const inside = x >= 0 && y >= 0 && x < picture.width && y < picture.height;
  return { x: clamp(x, picture.width - 1), y: clamp(y, picture.height - 1), inside };
}

/**
 * @param {number} value
 * @param {number} largest
 */
function clamp(value, largest) {
  return Math.max(0, Math.min(largest, value));
}
