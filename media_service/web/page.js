// @ts-check
/** The page: which phone is watched, by its address (`?device=`) and by the list of phones. */

import { DeviceList, words } from "./device-list.js";
import { PhoneViewerElement } from "./phone-viewer.js";
import { Token, keepToken, takeToken } from "./token.js";
import { TokenForm } from "./token-form.js";

const viewer = /** @type {PhoneViewerElement} */ (document.querySelector("phone-viewer"));
const empty = /** @type {HTMLElement} */ (document.querySelector(".empty"));
const form = new TokenForm(/** @type {HTMLFormElement} */ (document.querySelector(".access")));
const token = new Token();
const list = new DeviceList(
  new URL("./api/media/devices", import.meta.url),
  /** @type {HTMLUListElement} */ (document.querySelector("nav ul")),
  /** @type {HTMLSelectElement} */ (document.querySelector("nav select")),
  token,
);

/** @returns {string | null} */
function namedDevice() {
  return new URL(location.href).searchParams.get("device");
}

/** The phone that is watched while the address names none: the first there was, for as long as it is listed. */
let firstDevice = /** @type {string | null} */ (null);

function watch() {
  const watched = viewer.getAttribute("device");
  const isListed = list.devices.some(({ deviceId }) => deviceId === firstDevice);
  const first = list.devices.find(({ state }) => state === "online") ?? list.devices[0];
  if (!isListed && first) firstDevice = first.deviceId;
  const device = namedDevice() ?? firstDevice;
  const known = list.devices.find(({ deviceId }) => deviceId === device);
  if (known?.width && known.height) {
    viewer.setAttribute("width", String(known.width));
    viewer.setAttribute("height", String(known.height));
  }
  if (device !== null && device !== watched) viewer.setAttribute("device", device);
  const called = known ? words(known)[0] : device;
  document.title = called ? `${called} – Cloud phones` : "Cloud phones";
  list.show(device);
  // What is watched goes on with a token that has ended; another one is asked for when nothing can be watched.
  const refusal = ["idle", "unavailable"].includes(viewer.viewer.state) ? list.unauthorized : null;
  if (refusal) form.show(refusal);
  else form.hide();
  showEmpty(device === null, refusal !== null);
}

/**
 * @param {boolean} isEmpty
 * @param {boolean} isRefused
 */
function showEmpty(isEmpty, isRefused) {
  viewer.hidden = isEmpty || isRefused;
  empty.hidden = !isEmpty || isRefused || !(list.isKnown || list.problem);
  const [title, text] = list.problem
    ? ["The service does not answer", `${list.problem} This page goes on asking.`]
    : ["No phone is connected", "Connect one with “adb connect HOST:PORT” where the service runs: it appears here."];
  const [heading, words] = empty.children;
  heading.textContent = title;
  words.textContent = text;
}

/** @param {string} value */
function useToken(value) {
  token.value = value;
  viewer.token = value;
}

form.addEventListener("token", (event) => {
  const { detail: value } = /** @type {CustomEvent<string>} */ (event);
  keepToken(value);
  useToken(value);
  list.load();
});
// A link with another token, opened where the page is already.
addEventListener("hashchange", () => {
  useToken(takeToken());
  list.load();
});
viewer.viewer.addEventListener("state", () => list.unauthorized && watch());
list.addEventListener("change", watch);
list.addEventListener("choose", (event) => {
  const address = new URL(location.href);
  address.searchParams.set("device", /** @type {CustomEvent<string>} */ (event).detail);
  history.pushState(null, "", address);
  watch();
});
addEventListener("popstate", watch);
addEventListener("keydown", (event) => {
  const [target] = event.composedPath();
  const isTyping = target instanceof Element && target.matches("input, select, textarea");
  if (event.key === "i" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) viewer.toggleStatistics();
});

useToken(takeToken());
// A phone that the address names is watched without waiting for the list.
watch();
list.load();
