// @ts-check
/** The page: which phone is watched, by its address (`?device=`) and by the list of phones. */

import { DeviceList, words } from "./device-list.js";
import { PhoneViewerElement } from "./phone-viewer.js";

const viewer = /** @type {PhoneViewerElement} */ (document.querySelector("phone-viewer"));
const empty = /** @type {HTMLElement} */ (document.querySelector(".empty"));
const list = new DeviceList(
  new URL("./api/media/devices", import.meta.url),
  /** @type {HTMLUListElement} */ (document.querySelector("nav ul")),
  /** @type {HTMLSelectElement} */ (document.querySelector("nav select")),
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
  showEmpty(device === null);
}

/** @param {boolean} isEmpty */
function showEmpty(isEmpty) {
  viewer.hidden = isEmpty;
  empty.hidden = !isEmpty || !(list.isKnown || list.problem);
  const [title, text] = list.problem
    ? ["The service does not answer", `${list.problem} This page goes on asking.`]
    : ["No phone is connected", "Connect one with “adb connect HOST:PORT” where the service runs: it appears here."];
  const [heading, words] = empty.children;
  heading.textContent = title;
  words.textContent = text;
}

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

// A phone that the address names is watched without waiting for the list.
watch();
list.load();
