// @ts-check
/** How long to wait before the next try; pure. */

const FIRST_MS = 250;
const LONGEST_MS = 5000;

/**
 * Doubles from 0.25 s to 5 s. Half of it is random, so that not all viewers come at once when the service comes back.
 *
 * @param {number} failures tries that failed since the last good connection, 0 for the first
 * @param {number} random from 0 up to 1
 * @returns {number} milliseconds
 */
export function backoff(failures, random) {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 10));
  return ceiling * (0.5 + 0.5 * random);
}
