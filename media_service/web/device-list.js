// @ts-check
/** The phones that the service knows, kept up to date and shown as links, or as one select where the page is narrow. */

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
  #shown = "";
  #isLoading = false;

  /** @type {readonly Device[]} */
  devices = [];
  /** Why the list is not known; empty when it is. */
  problem = "";
  isKnown = false;

  /**
   * @param {URL} address
   * @param {HTMLUListElement} list
   * @param {HTMLSelectElement} select
   */
  constructor(address, list, select) {
    super();
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

  async load() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      const response = await fetch(this.#address, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (!response.ok) throw new Error(`the service answered ${response.status}`);
      this.devices = (await response.json()).devices;
      this.problem = "";
      this.isKnown = true;
    } catch (error) {
      this.problem = error instanceof TypeError ? "It cannot be reached." : String(error);
    }
    this.#isLoading = false;
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
