// @ts-check
/** Whether this browser's user wants to hear phones, from one visit to the next. */

const KEY = "phone-viewer-sound";

/** @returns {boolean} */
export function remembersSound() {
  try {
    return localStorage.getItem(KEY) === "on";
  } catch {
    return false; // a page may be forbidden to remember anything
  }
}

/** @param {boolean} isWanted */
export function rememberSound(isWanted) {
  try {
    localStorage.setItem(KEY, isWanted ? "on" : "off");
  } catch {
    // as above
  }
}
