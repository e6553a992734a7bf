// @ts-check
/**
 * `<phone-viewer device="…">`: a phone's screen with its buttons, state and numbers, for any page.
 *
 *     <script type="module" src="https://media.example/phone-viewer.js"></script>
 *     <phone-viewer device="192.168.1.2:5555"></phone-viewer>
 *
 * Attributes: `device`; `api`, the API's address, by default beside this module; `width` and `height`, the phone's
 * shape before its first picture; `statistics`, present while the numbers are open; `muted`, present while the sound is
 * off, as it is until the user turns it on, now or the last time; `token`, where the service wants to know who watches:
 * the property of that name leaves it out of the document. It fills the box that the page gives it.
 */

import { icons } from "./icons.js";
import { AndroidKey } from "./keys.js";
import { style } from "./phone-viewer-style.js";
import { QualityMenu } from "./quality-menu.js";
import { DELAY_HINT, StatisticsPanel, bitRate, frameRate, milliseconds, percent } from "./statistics-panel.js";
import { remembersSound, rememberSound } from "./sound-choice.js";
import { Still } from "./still.js";
import { PhoneViewer } from "./viewer.js";

/** @typedef {import("./control.js").ServiceMessage} ServiceMessage */
/** @typedef {import("./viewer.js").ViewerState} ViewerState */

/** @type {Record<ViewerState, string>} */
const STATE_WORDS = {
  idle: "Stopped",
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  "device-lost": "Phone lost",
  unavailable: "Not available",
};

/** Over the picture, where the state alone would leave open what happens. @type {Partial<Record<ViewerState, string>>} */
const NOTICE_WORDS = {
  connecting: "Connecting…",
  reconnecting: "Reconnecting…",
  "device-lost": "Phone lost, reconnecting…",
};

/** What the phone says of its screen, where a picture alone would look like a fault. @type {Record<string, string>} */
const SCREEN_WORDS = {
  off: "The phone’s screen is off. Its power button wakes it.",
  secure: "The app on the screen does not let its picture be taken.",
  booting: "The phone is starting.",
};

const COMPLAINT_MS = 4000;
const BLOCKED_SOUND = "The browser plays sound only after you touch the picture or press a key.";
/** A replay that takes longer than this is better watched than waited for. */
const LONGEST_HOLD_MS = 1500;

/** @type {ReadonlyArray<[string, string, number]>} name, picture, key */
const KEYS = [
  ["Back", icons.back, AndroidKey.BACK],
  ["Home", icons.home, AndroidKey.HOME],
  ["App switch", icons.recents, AndroidKey.APP_SWITCH],
  ["Volume up", icons.volumeUp, AndroidKey.VOLUME_UP],
  ["Volume down", icons.volumeDown, AndroidKey.VOLUME_DOWN],
  ["Power", icons.power, AndroidKey.POWER],
];

/** @param {string} name @param {string} picture @param {string} attributes */
const button = (name, picture, attributes) =>
  `<button type="button" aria-label="${name}" title="${name}" ${attributes}>${picture}</button>`;
const keys = KEYS.map(([name, picture, key]) => button(name, picture, `data-key="${key}"`));

const template = document.createElement("template");
template.innerHTML = `
  <div class="frame">
    <header>
      <p class="state" role="status"><i></i><span></span></p>
      <p class="numbers" aria-hidden="true">
        <span data-number="fps" title="Pictures decoded per second"></span>
        <span data-number="rate" title="Bit rate"></span>
        <span data-number="rtt" title="Round trip between this browser and the service"></span>
        <span data-number="loss" title="Packets lost, before retransmission"></span>
        <span data-number="delay" title="${DELAY_HINT}"></span>
      </p>
    </header>
    <div class="toolbar" role="toolbar" aria-label="Phone buttons">
      ${keys.slice(0, 3).join("")}
      <hr>
      ${keys.slice(3).join("")}
      <hr>
      ${button("Keyboard", icons.keyboard, 'data-action="keyboard"')}
      ${button("Unmute", icons.noSound, 'data-action="sound" hidden')}
      ${button(
        "Quality",
        `${icons.quality}<span></span>`,
        'data-action="quality" aria-haspopup="menu" aria-expanded="false" aria-controls="quality" hidden',
      )}
      ${button("Numbers", icons.statistics, 'data-action="statistics" aria-pressed="false"')}
      ${button("Full screen", icons.enlarge, 'data-action="fullscreen"')}
    </div>
    <div class="screen">
      <video muted autoplay playsinline disablepictureinpicture disableremoteplayback tabindex="-1"
        aria-hidden="true"></video>
      <canvas hidden aria-hidden="true"></canvas>
      <textarea aria-label="Phone screen: what you type goes to the phone, Shift and Tab leaves it" autocapitalize="off"
        autocomplete="off" autocorrect="off" spellcheck="false" rows="1"></textarea>
      <div class="notice">
        <div class="spinner" aria-hidden="true"></div>
        <strong></strong>
        <p class="reason"></p>
        <p class="next"></p>
        <button type="button" data-action="retry">Try now</button>
      </div>
      <p class="condition" role="status" hidden></p>
      <p class="complaint" role="alert" hidden></p>
    </div>
    <div class="menu" id="quality" hidden>
      <div role="menu" aria-label="Quality" aria-describedby="quality-reason"></div>
      <p class="reason" id="quality-reason"></p>
    </div>
  </div>
  <section class="statistics" aria-label="Numbers" hidden>
    ${button("Close", icons.close, 'data-action="statistics"')}
  </section>
`;

export class PhoneViewerElement extends HTMLElement {
  static observedAttributes = ["device", "width", "height", "statistics", "muted", "token"];

  #root = this.attachShadow({ mode: "open" });
  /** @type {PhoneViewer | null} */
  #viewer = null;
  /** @type {Still} */
  #still;
  #panel;
  #quality;
  #token = "";
  /** From `connectedCallback` on: an element that is on the page before this module is told of its attributes first. */
  #isPlaced = false;
  #capture = { mode: "", reason: "" };
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #countdown;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #complaintTimer;

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [style];
    this.#root.append(template.content.cloneNode(true));
    this.#still = new Still(this.#video, this.#find("canvas"));
    this.#panel = new StatisticsPanel(this.#find(".statistics"));
    this.#quality = new QualityMenu(this.#find("[data-action=quality]"), this.#find(".menu"));
    this.#quality.addEventListener("choose", (event) => {
      this.viewer.quality = /** @type {CustomEvent<string>} */ (event).detail;
    });
    this.#root.addEventListener("click", (event) => this.#click(event));
    // Only a mouse's press may move the focus to the phone: on a touch screen it would open the keyboard each time.
    const screen = this.#find(".screen");
    screen.addEventListener("pointerdown", (event) => {
      const isOnButton = event.target === this.#find("[data-action=retry]");
      if (event.pointerType !== "touch" && !isOnButton) this.#keyboard.focus({ preventScroll: true });
    });
    // A press on a button or on the picture leaves the focus where it is, or typing would end with every click.
    for (const part of [screen, this.#find(".toolbar")]) {
      part.addEventListener("mousedown", (event) => event.preventDefault());
    }
    this.#video.addEventListener("resize", () => this.#shape());
    this.#find("[data-action=fullscreen]").hidden = !document.fullscreenEnabled;
  }

  /** The viewer inside, for scripts; there from the moment the element is on the page. */
  get viewer() {
    this.#viewer ??= this.#createViewer();
    return this.#viewer;
  }

  connectedCallback() {
    this.#isPlaced = true;
    this.#takeEarlyToken();
    this.#shape();
    this.#watch();
  }

  disconnectedCallback() {
    this.#isPlaced = false;
    clearInterval(this.#countdown);
    this.#viewer?.stop();
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (name === "statistics") return this.#showStatistics();
    if (name === "muted") return this.#mute();
    if (name === "token") return void (this.token = this.getAttribute("token") ?? "");
    if (name !== "device") return this.#shape();
    if (this.#isPlaced) this.#watch();
  }

  /** Opens or closes the numbers. */
  toggleStatistics() {
    this.toggleAttribute("statistics");
  }

  /** Whether the sound is off. A page may turn it on, which is heard from the user's first gesture on. */
  get muted() {
    return this.hasAttribute("muted");
  }

  set muted(muted) {
    this.toggleAttribute("muted", muted);
  }

  /** What says to the service who watches; a new one is used from the next request on. */
  get token() {
    return this.#token;
  }

  set token(token) {
    this.#token = token;
    if (this.#viewer) this.#viewer.token = token;
  }

  /** A page that was faster than this module has given its token to an element that was none yet. */
  #takeEarlyToken() {
    if (!Object.hasOwn(this, "token")) return;
    const token = this.token;
    Reflect.deleteProperty(this, "token");
    this.token = token;
  }

  #mute() {
    // Before there is a viewer the attribute only waits to be read.
    if (this.#viewer) this.#viewer.muted = this.muted;
  }

  #createViewer() {
    const api = this.getAttribute("api");
    const options = { surface: this.#find(".screen"), keyboard: this.#keyboard, token: this.#token };
    const viewer = new PhoneViewer(this.#video, { ...options, ...(api ? { api } : {}) });
    viewer.addEventListener("state", () => this.#showState());
    // The first picture of a join may be seconds old, and what follows runs in fast-forward until it is live.
    viewer.addEventListener("picture", () => {
      this.#find(".frame").toggleAttribute("data-has-picture", true);
      this.#shape();
      this.#still.keep();
      setTimeout(() => viewer.state === "live" && this.#still.drop(), LONGEST_HOLD_MS);
    });
    viewer.addEventListener("caught-up", () => this.#still.drop());
    viewer.muted = this.muted || !remembersSound();
    this.toggleAttribute("muted", viewer.muted);
    viewer.addEventListener("sound", () => this.#showSound());
    viewer.addEventListener("quality", () => {
      this.#quality.show(viewer.quality, viewer.shownQuality);
      this.#showNumbers();
    });
    viewer.addEventListener("stats", () => this.#showNumbers());
    viewer.wantsServiceStats = this.hasAttribute("statistics");
    viewer.addEventListener("message", (event) => {
      const { type, state, reason, detail, screen } = /** @type {CustomEvent<ServiceMessage>} */ (event).detail;
      if (type === "stream-state") {
        this.#capture = { mode: state ?? "", reason: reason ?? "" };
        this.#showCondition(screen ?? "");
      }
      if (type === "error" && detail) this.#complain(detail);
    });
    return viewer;
  }

  #watch() {
    const device = this.getAttribute("device");
    this.#still.drop();
    this.#find(".frame").toggleAttribute("data-has-picture", false);
    this.#capture = { mode: "", reason: "" };
    this.#showCondition("");
    if (device) this.viewer.watch(device);
    else this.#viewer?.stop();
    this.#showState();
  }

  /** The screen takes the shape of the video, before its first picture the one that the page named. */
  #shape() {
    const isKnown = this.#viewer !== null && this.#viewer.firstPictureAt !== null;
    // While the connection is made anew the last picture is shown, in its own shape.
    if (!isKnown && this.#still.isShown) return;
    const width = isKnown ? this.#video.videoWidth : Number(this.getAttribute("width")) || 9;
    const height = isKnown ? this.#video.videoHeight : Number(this.getAttribute("height")) || 16;
    this.#find(".frame").style.setProperty("--_width", String(width));
    this.#find(".frame").style.setProperty("--_height", String(height));
  }

  /** @param {string} words what the service could not do, shown for a while */
  #complain(words) {
    const complaint = this.#find(".complaint");
    complaint.textContent = words;
    complaint.hidden = false;
    clearTimeout(this.#complaintTimer);
    this.#complaintTimer = setTimeout(() => (complaint.hidden = true), COMPLAINT_MS);
  }

  /** @param {string} screen what the phone says of it */
  #showCondition(screen) {
    const condition = this.#find(".condition");
    condition.textContent = SCREEN_WORDS[screen] ?? "";
    condition.dataset.screen = screen;
    condition.hidden = !condition.textContent;
  }

  #showState() {
    const state = this.#viewer?.state ?? "idle";
    const reason = this.#viewer?.reason ?? "";
    if (state === "live" && this.#viewer?.caughtUpAt) this.#still.drop();
    const frame = this.#find(".frame");
    // What a video shows before its first picture is not worth keeping.
    if (state !== "live" && state !== "connecting" && frame.hasAttribute("data-has-picture")) this.#still.keep();
    frame.dataset.state = state;
    this.#find(".state span").textContent = STATE_WORDS[state];
    this.#find(".notice strong").textContent = NOTICE_WORDS[state] ?? STATE_WORDS[state];
    this.#find(".notice .reason").textContent = reason;
    if (state !== "live") for (const cell of this.#root.querySelectorAll("[data-number]")) cell.textContent = "";
    if (!this.#viewer?.stats) this.#panel.show(null);
    clearInterval(this.#countdown);
    this.#showNextTry();
    if (Number.isFinite(this.#viewer?.retryAt)) this.#countdown = setInterval(() => this.#showNextTry(), 500);
  }

  #showNextTry() {
    const seconds = Math.ceil(((this.#viewer?.retryAt ?? 0) - performance.now()) / 1000);
    // A try that is due at once needs no announcement.
    const isWaiting = seconds > 1;
    this.#find(".notice .next").textContent = isWaiting && seconds < Infinity ? `Next try in ${seconds} s` : "";
    this.#find("[data-action=retry]").hidden = !isWaiting;
  }

  #showNumbers() {
    const stats = this.#viewer?.stats;
    if (!stats || !this.#viewer) return;
    const numbers = {
      fps: frameRate(stats.framesPerSecond),
      rate: bitRate(stats.bitsPerSecond),
      rtt: `RTT ${milliseconds(stats.roundTripMs)}`,
      loss: `loss ${percent(stats.lossPercent)}`,
      delay: `delay ${milliseconds(stats.delayMs)}`,
    };
    if (this.#viewer.state === "live") {
      for (const [name, text] of Object.entries(numbers)) this.#find(`[data-number=${name}]`).textContent = text;
    }
    const { inputLatencyMs, hasSound, muted, isSoundBlocked, shownQuality: quality, serviceStats: service } = this.#viewer;
    const isHeard = hasSound && !muted && !isSoundBlocked;
    this.#panel.show({ stats, inputLatencyMs, capture: this.#capture, quality, service, hasSound, isHeard });
  }

  #showSound() {
    const { hasSound, muted, isSoundBlocked } = this.viewer;
    this.toggleAttribute("muted", muted);
    const button = this.#find("[data-action=sound]");
    const isHeard = !muted && !isSoundBlocked;
    const wasBlocked = button.dataset.blocked !== undefined;
    button.hidden = !hasSound;
    button.innerHTML = isHeard ? icons.sound : icons.noSound;
    button.ariaLabel = isHeard ? "Mute" : "Unmute";
    button.title = isSoundBlocked ? BLOCKED_SOUND : button.ariaLabel;
    button.toggleAttribute("data-blocked", isSoundBlocked);
    if (isSoundBlocked && !wasBlocked) this.#complain(BLOCKED_SOUND);
  }

  #showStatistics() {
    const isOpen = this.hasAttribute("statistics");
    this.#find(".statistics").hidden = !isOpen;
    this.#find(".toolbar [data-action=statistics]").ariaPressed = String(isOpen);
    if (this.#viewer) this.#viewer.wantsServiceStats = isOpen;
  }

  #toggleSound() {
    const { viewer } = this;
    const isHeard = !viewer.muted && !viewer.isSoundBlocked;
    viewer.muted = isHeard;
    rememberSound(!isHeard);
  }

  /** @param {Event} event */
  #click(event) {
    const button = /** @type {Element} */ (event.target).closest("button");
    if (button?.dataset.key) this.viewer.press(Number(button.dataset.key));
    switch (button?.dataset.action) {
      case "keyboard":
        return this.#root.activeElement === this.#keyboard ? this.#keyboard.blur() : this.#keyboard.focus();
      case "sound":
        return this.#toggleSound();
      case "statistics":
        return this.toggleStatistics();
      case "retry":
        return this.viewer.retry();
      case "fullscreen":
        if (document.fullscreenElement) document.exitFullscreen();
        else this.requestFullscreen().catch(() => {});
    }
  }

  get #video() {
    return /** @type {HTMLVideoElement} */ (this.#find("video"));
  }

  get #keyboard() {
    return /** @type {HTMLTextAreaElement} */ (this.#find("textarea"));
  }

  /**
   * @template {string} Selector
   * @param {Selector} selector
   * @returns {Selector extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[Selector] : HTMLElement}
   */
  #find(selector) {
    return /** @type {any} */ (this.#root.querySelector(selector));
  }
}

customElements.define("phone-viewer", PhoneViewerElement);
