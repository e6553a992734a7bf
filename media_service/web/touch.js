// @ts-check
/** Pointers and the wheel on the picture, as fingers on the phone. */

import { pictureBox, pictureCoordinates } from "./coordinates.js";
import { AndroidKey } from "./keys.js";

/** @typedef {import("./coordinates.js").Point} Point */
/** @typedef {import("./control.js").InputMessage} InputMessage */
/** @typedef {{finger: number, at: Point, moved: boolean}} Press */

/** Android tracks ten fingers at most. */
const FINGERS = 10;
const WHEEL_FINGER = 9;
/** A finger that rests this long before it lifts does not fling the list. */
const WHEEL_REST_MS = 120;
const LINE_PX = 40;

/**
 * @typedef {object} TouchTarget
 * @property {(message: InputMessage) => boolean} send
 * @property {() => boolean} takesMoves whether a move can be sent now; if not, the newest one waits
 */

export class TouchInput {
  #surface;
  #video;
  #target;
  /** @type {Map<number, Press>} by `pointerId` of the browser */
  #pressed = new Map();
  /** @type {{press: Press} | null} */
  #wheel = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #wheelRest;
  #frame = 0;
  #listening = new AbortController();

  /**
   * @param {HTMLElement} surface takes the pointers
   * @param {HTMLVideoElement} video shows the phone with `object-fit: contain`
   * @param {TouchTarget} target
   */
  constructor(surface, video, target) {
    this.#surface = surface;
    this.#video = video;
    this.#target = target;
    const options = { signal: this.#listening.signal };
    surface.addEventListener("pointerdown", (event) => this.#down(event), options);
    surface.addEventListener("pointermove", (event) => this.#move(event), options);
    for (const type of /** @type {const} */ (["pointerup", "pointercancel", "lostpointercapture"])) {
      surface.addEventListener(type, (event) => this.#up(event), options);
    }
    surface.addEventListener("contextmenu", (event) => event.preventDefault(), options);
    surface.addEventListener("wheel", (event) => this.#scroll(event), { ...options, passive: false });
  }

  /** Lifts every finger and takes no more. */
  close() {
    this.release();
    this.#listening.abort();
  }

  /** Lifts every finger. */
  release() {
    for (const pointerId of [...this.#pressed.keys()]) this.#lift(pointerId);
    this.#endWheel();
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.pointerType === "mouse" && event.button !== 0) {
      const keyCode = { 1: AndroidKey.HOME, 2: AndroidKey.BACK }[event.button];
      if (keyCode !== undefined) this.#target.send({ type: "key", action: "press", keyCode });
      event.preventDefault();
      return;
    }
    const at = this.#locate(event);
    const finger = this.#freeFinger();
    if (at === null || !at.inside || finger === null || this.#pressed.has(event.pointerId)) return;
    this.#endWheel();
    const press = { finger, at, moved: false };
    if (!this.#touch("down", press)) return;
    this.#pressed.set(event.pointerId, press);
    this.#surface.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const press = this.#pressed.get(event.pointerId);
    const at = press && this.#locate(event);
    if (!press || !at || (at.x === press.at.x && at.y === press.at.y)) return;
    press.at = at;
    press.moved = true;
    this.#schedule();
  }

  /** @param {PointerEvent} event */
  #up(event) {
    const press = this.#pressed.get(event.pointerId);
    if (press === undefined) return;
    const at = event.type === "pointerup" ? this.#locate(event) : null;
    if (at !== null && (at.x !== press.at.x || at.y !== press.at.y)) {
      press.at = at;
      press.moved = true;
    }
    this.#lift(event.pointerId);
  }

  /** @param {number} pointerId */
  #lift(pointerId) {
    const press = this.#pressed.get(pointerId);
    if (press === undefined) return;
    this.#pressed.delete(pointerId);
    // The place where the finger lifts is a move too, or a drag would end short.
    if (press.moved) this.#touch("move", press);
    this.#touch("up", press);
  }

  /**
   * A turn of the wheel drags one finger from the pointer's place; the finger lifts when the wheel has come to rest.
   *
   * @param {WheelEvent} event
   */
  #scroll(event) {
    // Ctrl and wheel is the browser's zoom, and what a pinch on a touchpad sends.
    if (event.ctrlKey) return;
    event.preventDefault();
    if (this.#pressed.size > 0) return;
    if (this.#wheel === null && !this.#beginWheel(event)) return;
    const wheel = this.#wheel;
    const box = this.#video.getBoundingClientRect();
    const size = this.#size();
    if (wheel === null || box.width === 0) return;
    const unit = [1, LINE_PX, box.height][event.deltaMode] ?? 1;
    const scale = size.width / pictureBox(box, size).width;
    const at = {
      x: Math.round(wheel.press.at.x - event.deltaX * unit * scale),
      y: Math.round(wheel.press.at.y - event.deltaY * unit * scale),
    };
    const clamped = { x: within(at.x, size.width), y: within(at.y, size.height) };
    wheel.press.at = clamped;
    wheel.press.moved = true;
    this.#schedule();
    clearTimeout(this.#wheelRest);
    // At the edge there is no way left to drag: lift, and the next turn starts at the pointer again.
    if (clamped.x !== at.x || clamped.y !== at.y) this.#endWheel();
    else this.#wheelRest = setTimeout(() => this.#endWheel(), WHEEL_REST_MS);
  }

  /** @param {WheelEvent} event */
  #beginWheel(event) {
    const at = this.#locate(event);
    if (at === null || !at.inside) return false;
    const press = { finger: WHEEL_FINGER, at, moved: false };
    if (!this.#touch("down", press)) return false;
    this.#wheel = { press };
    return true;
  }

  #endWheel() {
    const wheel = this.#wheel;
    if (wheel === null) return;
    clearTimeout(this.#wheelRest);
    this.#wheel = null;
    if (wheel.press.moved) this.#touch("move", wheel.press);
    this.#touch("up", wheel.press);
  }

  /** Moves go out once per animation frame at most: a phone draws no faster. */
  #schedule() {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    this.#frame = 0;
    const presses = [...this.#pressed.values(), ...(this.#wheel ? [this.#wheel.press] : [])];
    for (const press of presses.filter(({ moved }) => moved)) {
      if (!this.#target.takesMoves()) return this.#schedule();
      press.moved = false;
      this.#touch("move", press);
    }
  }

  /**
   * @param {"down" | "move" | "up"} action
   * @param {Press} press
   */
  #touch(action, { finger, at }) {
    const { width, height } = this.#size();
    return this.#target.send({ type: "touch", action, x: at.x, y: at.y, width, height, pointerId: finger });
  }

  #size() {
    return { width: this.#video.videoWidth, height: this.#video.videoHeight };
  }

  /** @param {MouseEvent} event */
  #locate(event) {
    // Before its first picture a WebRTC video claims a size of its own invention.
    if (this.#video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
    const point = { x: event.clientX, y: event.clientY };
    return pictureCoordinates(point, this.#video.getBoundingClientRect(), this.#size());
  }

  #freeFinger() {
    const used = new Set([...this.#pressed.values()].map(({ finger }) => finger));
    for (let finger = 0; finger < FINGERS; finger += 1) if (!used.has(finger)) return finger;
    return null;
  }
}

/**
 * @param {number} value
 * @param {number} size
 */
function within(value, size) {
  return Math.max(0, Math.min(size - 1, value));
}
