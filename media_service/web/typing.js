// @ts-check
/** A keyboard, an input method and the clipboard, as keys and text for the phone. */

import { AndroidKey, androidKey } from "./keys.js";

/** On-screen keyboards report Backspace only when there is something to delete. */
const SENTINEL = "\u200b";

/** @type {ReadonlyMap<string, number>} `InputEvent.inputType` of on-screen keyboards, whose key events name no key. */
const EDITS = new Map([
  ["deleteContentBackward", AndroidKey.DELETE],
  ["deleteContentForward", AndroidKey.FORWARD_DELETE],
  ["insertLineBreak", AndroidKey.ENTER],
  ["insertParagraph", AndroidKey.ENTER],
]);

export class TypingInput {
  #field;
  #press;
  #type;
  #isComposing = false;
  #listening = new AbortController();

  /**
   * @param {HTMLTextAreaElement} field has the focus while the phone is typed to; it shows nothing and keeps nothing
   * @param {{press: (keyCode: number) => unknown, type: (text: string) => unknown}} target
   */
  constructor(field, { press, type }) {
    this.#field = field;
    this.#press = press;
    this.#type = type;
    const options = { signal: this.#listening.signal };
    field.addEventListener("keydown", (event) => this.#key(event), options);
    field.addEventListener("beforeinput", (event) => this.#edit(event), options);
    field.addEventListener("input", () => this.#take(), options);
    field.addEventListener("compositionstart", () => (this.#isComposing = true), options);
    field.addEventListener("compositionend", () => this.#composed(), options);
    field.addEventListener("paste", (event) => this.#paste(event), options);
    field.addEventListener("focus", () => this.#reset(), options);
    this.#reset();
  }

  close() {
    this.#listening.abort();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const keyCode = androidKey(event);
    if (keyCode === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.#press(keyCode);
  }

  /** @param {InputEvent} event */
  #edit(event) {
    const keyCode = EDITS.get(event.inputType);
    if (this.#isComposing || keyCode === undefined) return;
    event.preventDefault();
    this.#press(keyCode);
  }

  #take() {
    if (this.#isComposing) return;
    const text = this.#field.value.replaceAll(SENTINEL, "");
    this.#reset();
    if (text) this.#type(text);
  }

  #composed() {
    this.#isComposing = false;
    this.#take();
  }

  /** @param {ClipboardEvent} event */
  #paste(event) {
    event.preventDefault();
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (text) this.#type(text);
  }

  #reset() {
    this.#field.value = SENTINEL;
    this.#field.setSelectionRange(SENTINEL.length, SENTINEL.length);
  }
}
