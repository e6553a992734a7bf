// @ts-check
/** The phones that the service knows, kept up to date and shown as links, or as one select where the page is narrow. */

import { Refusal } from "./refusal.js";
import { Token } from "./token.js";

/**
 * @typedef {object} Device
 * @property {string} deviceId
 * @property {string | null} name what the operator calls it, or its container
 * @property {string} model
 * @property {string} state `online`, `offline`, `unauthorized`, `connecting` or `lost`
 * @property {number | null} width
 * @property {number | null} height
 * @property {number} viewers
 */

const PERIOD_MS = 4000;
const TIMEOUT_MS = 8000;

/** Fires `change` when the phones are others, and `choose` (CustomEvent of the device's id) when a person chose one. */
export class DeviceList extends EventTarget {
  #address;
  #list;
  #select;
  #token;
  #shown = "";
  #isLoading = false;

  /** @type {readonly Device[]} */
  devices = [];
  /** Why the list is not known; empty when it is. */
  problem = "";
  isKnown = false;
  /** What the service said when it wanted a token, or another one; null while it takes the one there is. */
  unauthorized = /** @type {Refusal | null} */ (null);

  /**
   * @param {URL} address
   * @param {HTMLUListElement} list
   * @param {HTMLSelectElement} select
   * @param {Token} [token]
   */
  constructor(address, list, select, token = new Token()) {
    super();
    this.#token = token;
    this.#address = address;
    this.#list = list;
    this.#select = select;
    select.addEventListener("change", () => this.#choose(select.value));
    list.addEventListener("click", (event) => {
      const link = /** @type {Element} */ (event.target).closest("a");
      if (!link?.dataset.device || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.#choose(link.dataset.device);
    });
    setInterval(() => document.hidden || this.load(), PERIOD_MS);
    document.addEventListener("visibilitychange", () => document.hidden || this.load());
  }

  /** @returns {Promise<void>} */
  async load() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    const asked = this.#token.value;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(this.#address, { headers: this.#token.headers(), signal });
      if (!response.ok) throw await Refusal.read(response);
      this.devices = (await response.json()).devices;
      this.problem = "";
      this.unauthorized = null;
      this.isKnown = true;
    } catch (error) {
      const words = error instanceof Refusal ? error.message : String(error);
      this.problem = error instanceof TypeError ? "It cannot be reached." : words;
      this.unauthorized = error instanceof Refusal && error.status === 401 ? error : null;
    }
    this.#isLoading = false;
    // What a token of before was told is of no interest.
    if (asked !== this.#token.value) return this.load();
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string | null} current the device that is watched */
  show(current) {
    const shown = JSON.stringify([this.devices, current]);
    // What has not changed is left alone: a focus or an open select would be lost.
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.device;
    this.#list.replaceChildren(...this.devices.map((device) => item(device, device.deviceId === current)));
    if (focused) [...this.#list.querySelectorAll("a")].find(({ dataset }) => dataset.device === focused)?.focus();
    const called = this.devices.map((device) => words(device)[0]);
    const option = (/** @type {Device} */ device) => {
      const [name, other] = words(device);
      const isShared = called.filter((each) => each === name).length > 1;
      const text = isShared && other ? `${name} · ${other}` : name;
      return new Option(text, device.deviceId, false, device.deviceId === current);
    };
    this.#select.replaceChildren(...this.devices.map(option));
    this.#select.hidden = this.devices.length < 2;
  }

  /** @param {string} device */
  #choose(device) {
    this.dispatchEvent(new CustomEvent("choose", { detail: device }));
  }
}

/**
 * A farm's phones are of one model: whoever has a name goes by it.
 *
 * @param {Device} device
 * @returns {string[]} what it is called, and what tells it from others that are called so
 */
export function words({ deviceId, name, model }) {
  return [...new Set(name ? [name, model] : [model, deviceId])].filter((text) => text);
}

/**
 * @param {Device} device
 * @param {boolean} isCurrent
 */
function item(device, isCurrent) {
  const { deviceId, state, viewers } = device;
  const link = document.createElement("a");
  const address = new URL(location.href);
  address.searchParams.set("device", deviceId);
  link.href = address.href;
  link.dataset.device = deviceId;
  link.dataset.state = state;
  if (isCurrent) link.setAttribute("aria-current", "page");
  const watching = viewers > 0 ? `${viewers} watching` : "";
  const [called, other] = words(device);
  link.append(part("i", ""), part("b", called ?? deviceId), part("span", state === "online" ? watching : state));
  if (other) link.append(part("span", other, "id"));
  const listed = document.createElement("li");
  listed.append(link);
  return listed;
}

/**
 * @param {string} tag
 * @param {string} text
 * @param {string} [className]
 */
function part(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}
