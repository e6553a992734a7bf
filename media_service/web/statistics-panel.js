// @ts-check
/** The numbers of a session as a table for people. */

import { levelName } from "./quality-menu.js";

/** @typedef {import("./quality-menu.js").Quality} Quality */
/** @typedef {import("./statistics.js").Statistics} Statistics */
/** @typedef {{stats: Statistics, inputLatencyMs: number | null, capture: {mode: string, reason: string},
 *            quality: Quality, service: Record<string, unknown>, hasSound: boolean, isHeard: boolean}} Shown */
/** @typedef {{name: string, hint?: string, value: (shown: Shown) => string}} Row A row without a value is hidden, one
 *  without a name takes the whole width. */

const UNKNOWN = "–";

/** @param {number | null} value @param {number} digits @param {string} unit */
function number(value, digits, unit) {
  return value === null ? UNKNOWN : `${value.toFixed(digits)} ${unit}`.trim();
}

/** @param {number | null} value */
export function milliseconds(value) {
  return number(value, value !== null && value < 10 ? 1 : 0, "ms");
}

/** @param {number | null} value */
export function bitRate(value) {
  if (value === null) return UNKNOWN;
  return value < 1e6 ? number(value / 1e3, 0, "kbit/s") : number(value / 1e6, 1, "Mbit/s");
}

/** @param {number | null} value */
export function percent(value) {
  return number(value, value !== null && value > 0 && value < 10 ? 1 : 0, "%");
}

/** @param {number | null} value */
export function frameRate(value) {
  return number(value, 0, "fps");
}

export const DELAY_HINT =
  "Network + buffer + decode: half of the round trip, the time in the jitter buffer and the time in the decoder. " +
  "Not in it: capture and encoding on the phone, and your display.";

const FRAME_RATE_HINT = "Pictures decoded per second; a still screen sends few";
const INPUT_HINT = "From your last input to the service's word that the phone has it";
const LOSS_HINT = "Of the last second's packets, before retransmission";
const QUALITY_HINT = "Source is the picture as captured; the service re-encodes it smaller for who needs that";
const PATH_RATE_HINT = "What the service believes that your path carries";
const TARGET_RATE_HINT = "What the service codes and sends at most";
const SOUND_BUFFER_HINT = "Average per sample; pictures wait for it while the sound is on";
const SOUND_HINT = "Of the last second's samples: made up for what was lost or late";
const ROUND_TRIP_HINT = "Between this browser and the service";

/** @param {Statistics} stats */
const size = ({ width, height }) => (width ? `${width} × ${height}` : UNKNOWN);
/** @param {Statistics} stats */
const freezes = ({ freezes, freezeMs }) => (freezes ? `${freezes} (${milliseconds(freezeMs)})` : "none");
/** @param {Statistics} stats */
const dropped = ({ framesDropped, framesDecoded }) => `${framesDropped} of ${framesDecoded + framesDropped}`;

/** @param {Shown} shown */
const quality = ({ quality: { level, coding } }) =>
  level && [levelName(level), coding === "encoded" ? "re-encoded" : ""].filter(Boolean).join(", ");
/** @param {string} name @returns {(shown: Shown) => string} hidden until the service told it */
const ofService = (name) => ({ service: { [name]: value } }) => (typeof value === "number" ? bitRate(value) : "");

/** @param {Shown} shown */
const sound = ({ stats: { soundCodec, soundBitsPerSecond }, hasSound, isHeard }) =>
  hasSound ? [soundCodec, isHeard ? bitRate(soundBitsPerSecond) : "off"].filter((text) => text).join(", ") : "";
/** @param {(stats: Statistics) => string} value @returns {(shown: Shown) => string} hidden where no sound is heard */
const ofSound = (value) => ({ stats, isHeard }) => (isHeard ? value(stats) : "");

/** @type {ReadonlyArray<{title: string, rows: Row[]}>} */
const GROUPS = [
  {
    title: "Picture",
    rows: [
      { name: "Frame rate", hint: FRAME_RATE_HINT, value: ({ stats }) => frameRate(stats.framesPerSecond) },
      { name: "Size", value: ({ stats }) => size(stats) },
      { name: "Codec", hint: "As negotiated; the stream may use less", value: ({ stats }) => stats.codec || UNKNOWN },
      { name: "Quality", hint: QUALITY_HINT, value: quality },
      { name: "", value: ({ quality }) => quality.reason },
      { name: "Sound", value: sound },
      { name: "Capture", hint: "How the phone's screen is captured", value: ({ capture }) => capture.mode },
      { name: "", value: ({ capture }) => capture.reason },
    ],
  },
  {
    title: "Delay",
    rows: [
      { name: "Delay", hint: DELAY_HINT, value: ({ stats }) => milliseconds(stats.delayMs) },
      { name: "Round trip", hint: ROUND_TRIP_HINT, value: ({ stats }) => milliseconds(stats.roundTripMs) },
      { name: "Jitter buffer", hint: "Average per picture", value: ({ stats }) => milliseconds(stats.jitterBufferMs) },
      { name: "Decode", hint: "Average per picture", value: ({ stats }) => milliseconds(stats.decodeMs) },
      { name: "Sound buffer", hint: SOUND_BUFFER_HINT, value: ofSound((stats) => milliseconds(stats.soundBufferMs)) },
      { name: "Input", hint: INPUT_HINT, value: ({ inputLatencyMs }) => milliseconds(inputLatencyMs) },
    ],
  },
  {
    title: "Network",
    rows: [
      { name: "Bit rate", value: ({ stats }) => bitRate(stats.bitsPerSecond) },
      { name: "Path carries", hint: PATH_RATE_HINT, value: ofService("availableOutgoingBitrate") },
      { name: "Target", hint: TARGET_RATE_HINT, value: ofService("targetBitrate") },
      { name: "Loss", hint: LOSS_HINT, value: ({ stats }) => percent(stats.lossPercent) },
      { name: "Sound made up", hint: SOUND_HINT, value: ofSound((stats) => percent(stats.soundMadeUpPercent)) },
      { name: "Path", hint: "Your address → the service's address", value: ({ stats }) => stats.path || UNKNOWN },
    ],
  },
  {
    title: "Trouble since the start",
    rows: [
      { name: "Freezes", value: ({ stats }) => freezes(stats) },
      { name: "Dropped pictures", value: ({ stats }) => dropped(stats) },
      { name: "Lost packets", value: ({ stats }) => `${stats.packetsLost}, ${stats.retransmitted} resent` },
      { name: "Keyframes", value: ({ stats }) => `${stats.keyframesDecoded}, ${stats.keyframeRequests} asked for` },
    ],
  },
];

export class StatisticsPanel {
  /** @type {{row: Row, term: HTMLElement, cell: HTMLElement}[]} */
  #rows = [];

  /** @param {HTMLElement} element filled with the table */
  constructor(element) {
    for (const { title, rows } of GROUPS) {
      const heading = document.createElement("h3");
      heading.textContent = title;
      const list = document.createElement("dl");
      for (const row of rows) {
        const term = document.createElement("dt");
        const cell = document.createElement("dd");
        term.textContent = row.name;
        if (!row.name) cell.className = "note";
        if (row.hint) term.title = cell.title = row.hint;
        cell.textContent = UNKNOWN;
        list.append(term, cell);
        this.#rows.push({ row, term, cell });
      }
      element.append(heading, list);
    }
  }

  /** @param {Shown | null} shown null while there is no session */
  show(shown) {
    for (const { row, term, cell } of this.#rows) {
      const value = shown !== null ? row.value(shown) : row.name && UNKNOWN;
      cell.textContent = value;
      cell.hidden = value === "";
      term.hidden = value === "" || row.name === "";
    }
  }
}
