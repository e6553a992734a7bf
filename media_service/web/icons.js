// @ts-check
/** The buttons' pictures: 24 × 24, drawn in the text's colour. */

/** @param {string} paths */
const icon = (paths) =>
  `<svg viewBox="0 0 24 24" width="22" height="22" fill="none" stroke="currentColor" stroke-width="1.6"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${paths}</svg>`;

export const icons = {
  back: icon('<path d="M15.5 5.5 8 12l7.5 6.5Z"/>'),
  home: icon('<circle cx="12" cy="12" r="6.5"/>'),
  recents: icon('<rect x="6" y="6" width="12" height="12" rx="2"/>'),
  volumeUp: icon('<path d="M4 10v4h3l4 3.5v-11L7 10Z"/><path d="M17.5 9v6M14.5 12h6"/>'),
  volumeDown: icon('<path d="M4 10v4h3l4 3.5v-11L7 10Z"/><path d="M14.5 12h6"/>'),
  sound: icon('<path d="M4 10v4h3l4 3.5v-11L7 10Z"/><path d="M14.5 9.5a3.5 3.5 0 0 1 0 5M17 7a7 7 0 0 1 0 10"/>'),
  noSound: icon('<path d="M4 10v4h3l4 3.5v-11L7 10Z"/><path d="m14.5 9.5 5 5M19.5 9.5l-5 5"/>'),
  power: icon('<path d="M12 4v7"/><path d="M7.5 7.2a7 7 0 1 0 9 0"/>'),
  keyboard: icon(
    '<rect x="3" y="6" width="18" height="12" rx="2.5"/>' +
      '<path d="M7 10h.01M10.33 10h.01M13.67 10h.01M17 10h.01M8.5 14h7"/>',
  ),
  quality: icon('<path d="M4 8h9M17 8h3M4 16h3M11 16h9"/><circle cx="15" cy="8" r="2"/><circle cx="9" cy="16" r="2"/>'),
  statistics: icon('<path d="M4 15.5h3l2.5-8 4 11 2.5-6.5H20"/>'),
  close: icon('<path d="m7.5 7.5 9 9M16.5 7.5l-9 9"/>'),
  enlarge: icon('<path d="M9 4H4v5M15 4h5v5M9 20H4v-5M15 20h5v-5"/>'),
};
