// @ts-check
/** The token that says to the service who asks, where it wants to know. */

const KEY = "media-service-token";

/** One for all that ask, so that a new value counts at once. */
export class Token {
  /** Empty where none is needed, or none is known. */
  value = "";

  /**
   * The headers of a request (RFC 6750 section 2.1).
   *
   * @param {Record<string, string>} [others]
   * @returns {Record<string, string>}
   */
  headers(others = {}) {
    return this.value ? { ...others, Authorization: `Bearer ${this.value}` } : others;
  }
}

/**
 * The token that the page's address brings behind `#token=`, otherwise the one that this tab was given before.
 *
 * It is taken out of the address: there it would be seen, bookmarked and sent on to others.
 *
 * @returns {string} empty when there is none
 */
export function takeToken() {
  const brought = new URLSearchParams(location.hash.slice(1)).get("token");
  if (brought !== null) {
    history.replaceState(history.state, "", location.pathname + location.search);
    keepToken(brought);
    return brought;
  }
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return ""; // a page may be forbidden to remember anything
  }
}

/** @param {string} token remembered while the tab is open; empty to forget it */
export function keepToken(token) {
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // as above
  }
}
