// @ts-check
/** The menu of what a phone may be shown in: a button, a list that it opens, and why it is what it is now. */

/** @typedef {{level: string, coding: string, reason: string, levels: readonly string[]}} Quality What the service says
 *  of the pictures: `level` is `source` or as `480p`, `coding` is `passthrough` or `encoded`. */

/** @param {string} level */
export const levelName = (level) => (level === "source" ? "Source" : level === "auto" ? "Auto" : level);

/** @param {string} chosen @param {string} shown both levels; `shown` is empty while it is not known */
export function choiceName(chosen, shown) {
  return shown && shown !== chosen ? `${levelName(chosen)} · ${levelName(shown)}` : levelName(chosen);
}

/** Fires `choose` (CustomEvent of the level) when the user chose one. */
export class QualityMenu extends EventTarget {
  #button;
  #menu;
  #items;
  #reason;
  /** What had the focus before the menu took it. @type {HTMLElement | null} */
  #former = null;

  /**
   * @param {HTMLElement} button opens and closes it
   * @param {HTMLElement} menu with an element of the role menu, and one `.reason` below it
   */
  constructor(button, menu) {
    super();
    this.#button = button;
    this.#menu = menu;
    this.#items = /** @type {HTMLElement} */ (menu.querySelector("[role=menu]"));
    this.#reason = /** @type {HTMLElement} */ (menu.querySelector(".reason"));
    button.addEventListener("click", () => (menu.hidden ? this.open() : this.close()));
    button.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      event.preventDefault();
      this.open();
    });
    menu.addEventListener("keydown", (event) => this.#key(event));
    menu.addEventListener("click", ({ target }) => {
      const item = /** @type {Element} */ (target).closest("button");
      if (item) this.#choose(item.dataset.level ?? "auto");
    });
    // A press on the reason leaves the focus in the menu, which would otherwise close.
    menu.addEventListener("mousedown", (event) => event.preventDefault());
    menu.addEventListener("focusout", ({ relatedTarget }) => {
      // To nowhere it goes too when the whole window loses it.
      if (relatedTarget !== button && !menu.contains(/** @type {Node | null} */ (relatedTarget))) this.#hide();
    });
  }

  /** @param {string} chosen @param {Quality} quality */
  show(chosen, { level, coding, reason, levels }) {
    const isThere = levels.length > 0;
    this.#button.hidden = !isThere;
    if (!isThere) return this.#hide();
    const name = choiceName(chosen, level);
    const [first, second] = name.split(" · ");
    this.#button.title = reason ? `Quality: ${name} (${reason})` : `Quality: ${name}`;
    this.#button.ariaLabel = `Quality: ${name}`;
    const words = /** @type {HTMLElement} */ (this.#button.querySelector("span"));
    words.innerHTML = second ? "<small></small> <b></b>" : "<b></b>";
    for (const [index, text] of [first, second].entries()) if (text) words.children[index].textContent = text;
    this.#list(chosen, level, ["auto", ...levels]);
    this.#reason.textContent = [coding === "encoded" ? "Re-encoded by the service" : "", reason].filter(Boolean).join(": ");
  }

  open() {
    if (!this.#menu.hidden) return;
    const root = /** @type {ShadowRoot | Document} */ (this.#menu.getRootNode());
    const focused = root.activeElement;
    this.#former = focused instanceof HTMLElement ? focused : this.#button;
    this.#open();
  }

  /** Closes it and gives the focus back. */
  close() {
    if (this.#menu.hidden) return;
    this.#hide();
    this.#former?.focus({ preventScroll: true });
  }

  #open() {
    this.#menu.hidden = false;
    this.#button.ariaExpanded = "true";
    const items = /** @type {HTMLElement[]} */ ([...this.#items.children]);
    (items.find(({ ariaChecked }) => ariaChecked === "true") ?? items[0]).focus();
  }

  #hide() {
    this.#menu.hidden = true;
    this.#button.ariaExpanded = "false";
  }

  /** @param {string} level */
  #choose(level) {
    this.close();
    this.dispatchEvent(new CustomEvent("choose", { detail: level }));
  }

  /**
   * @param {string} chosen
   * @param {string} shown
   * @param {string[]} levels
   */
  #list(chosen, shown, levels) {
    const listed = [...this.#items.children].map((item) => /** @type {HTMLElement} */ (item).dataset.level);
    const isOpen = !this.#menu.hidden;
    const isOther = listed.join() !== levels.join();
    // Only where it has to be: an item that goes takes the focus with it, which closes the menu.
    if (isOther) this.#items.replaceChildren(...levels.map(item));
    for (const element of this.#items.children) {
      const { dataset, lastElementChild } = /** @type {HTMLElement} */ (element);
      const isChosen = dataset.level === chosen;
      element.ariaChecked = String(isChosen);
      const note = /** @type {HTMLElement} */ (lastElementChild);
      note.textContent = dataset.level === "auto" && isChosen && shown ? levelName(shown) : "";
    }
    if (isOther && isOpen) this.#open();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const items = /** @type {HTMLElement[]} */ ([...this.#items.children]);
    const root = /** @type {ShadowRoot | Document} */ (this.#menu.getRootNode());
    const at = items.indexOf(/** @type {HTMLElement} */ (root.activeElement));
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    if (event.key in steps) items.at(steps[/** @type {keyof typeof steps} */ (event.key)] % items.length)?.focus();
    else if (event.key === "Escape" || event.key === "Tab") this.close();
    else return;
    event.preventDefault();
  }
}

/** @param {string} level */
function item(level) {
  const element = document.createElement("button");
  element.type = "button";
  element.role = "menuitemradio";
  element.tabIndex = -1;
  element.dataset.level = level;
  element.append(levelName(level), " ", document.createElement("small"));
  return element;
}
