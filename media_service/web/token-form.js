// @ts-check
/** Asks a person for a token, where the service does not take requests without one. */

/** @typedef {import("./refusal.js").Refusal} Refusal */

/** What the service says to programs, in words for a person. @type {Record<string, string>} */
const REASONS = {
  token_missing: "The service takes nobody without a token.",
  token_expired: "Your token has expired.",
};

/** Fires `token` (CustomEvent of the text) when a person gave one. */
export class TokenForm extends EventTarget {
  #form;
  #field;
  #reason;

  /** @param {HTMLFormElement} form with one field, and a `.reason` */
  constructor(form) {
    super();
    this.#form = form;
    this.#field = /** @type {HTMLInputElement} */ (form.querySelector("input"));
    this.#reason = /** @type {HTMLElement} */ (form.querySelector(".reason"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const token = pastedToken(this.#field.value);
      if (token) this.dispatchEvent(new CustomEvent("token", { detail: token }));
    });
  }

  get isShown() {
    return !this.#form.hidden;
  }

  /** @param {Refusal} refusal why the service wants one, or another one */
  show({ code, message }) {
    const reason = REASONS[code] ?? `The service did not take it: ${message}.`;
    // What is said already is not said again: it is read out each time.
    if (this.#reason.textContent !== reason) this.#reason.textContent = reason;
    if (this.isShown) return;
    this.#form.hidden = false;
    this.#field.focus();
  }

  hide() {
    this.#form.hidden = true;
    this.#field.value = "";
    this.#reason.textContent = "";
  }
}

/**
 * The token in what was pasted: itself, a whole link that brings one, or a header.
 *
 * @param {string} text
 */
export function pastedToken(text) {
  const trimmed = text.trim().replace(/^(Authorization:\s*)?Bearer\s+/i, "");
  return /#token=([^&\s]+)/.exec(trimmed)?.[1] ?? trimmed;
}
