// @ts-check
/** Android's key codes (`KeyEvent.KEYCODE_*`) for what a keyboard and the buttons of the page mean. */

export const AndroidKey = Object.freeze({
  HOME: 3,
  BACK: 4,
  DPAD_UP: 19,
  DPAD_DOWN: 20,
  DPAD_LEFT: 21,
  DPAD_RIGHT: 22,
  VOLUME_UP: 24,
  VOLUME_DOWN: 25,
  POWER: 26,
  TAB: 61,
  ENTER: 66,
  DELETE: 67,
  MENU: 82,
  PAGE_UP: 92,
  PAGE_DOWN: 93,
  FORWARD_DELETE: 112,
  MOVE_HOME: 122,
  MOVE_END: 123,
  INSERT: 124,
  VOLUME_MUTE: 164,
  APP_SWITCH: 187,
});

/** @type {ReadonlyMap<string, number>} `KeyboardEvent.key` to key code, for keys that are not text. */
const KEY_CODES = new Map([
  ["Enter", AndroidKey.ENTER],
  ["Backspace", AndroidKey.DELETE],
  ["Delete", AndroidKey.FORWARD_DELETE],
  ["Tab", AndroidKey.TAB],
  ["Escape", AndroidKey.BACK],
  ["ArrowUp", AndroidKey.DPAD_UP],
  ["ArrowDown", AndroidKey.DPAD_DOWN],
  ["ArrowLeft", AndroidKey.DPAD_LEFT],
  ["ArrowRight", AndroidKey.DPAD_RIGHT],
  ["Home", AndroidKey.MOVE_HOME],
  ["End", AndroidKey.MOVE_END],
  ["PageUp", AndroidKey.PAGE_UP],
  ["PageDown", AndroidKey.PAGE_DOWN],
  ["Insert", AndroidKey.INSERT],
  ["ContextMenu", AndroidKey.MENU],
  ["GoHome", AndroidKey.HOME],
  ["BrowserBack", AndroidKey.BACK],
  ["AudioVolumeUp", AndroidKey.VOLUME_UP],
  ["AudioVolumeDown", AndroidKey.VOLUME_DOWN],
  ["AudioVolumeMute", AndroidKey.VOLUME_MUTE],
]);

/**
 * The phone's key for a key of the keyboard; null when it is text, a modifier or a shortcut of the browser's.
 * Shift+Tab stays the browser's, so that a keyboard user can leave the phone (WCAG 2.1.2).
 *
 * @param {KeyboardEvent} event
 * @returns {number | null}
 */
export function androidKey(event) {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return null;
  if (event.key === "Tab" && event.shiftKey) return null;
  return KEY_CODES.get(event.key) ?? null;
}
