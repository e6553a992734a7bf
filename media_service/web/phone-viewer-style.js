// @ts-check
/** How `<phone-viewer>` looks. A page changes colours by setting the `--phone-…` properties on it. */

export const style = new CSSStyleSheet();

style.replaceSync(`
:host {
  --_text: var(--phone-text, #1d1d1b);
  --_muted: var(--phone-muted, #696964);
  --_line: var(--phone-line, rgb(0 0 0 / 0.1));
  --_surface: var(--phone-surface, #fff);
  --_hover: var(--phone-hover, rgb(0 0 0 / 0.055));
  --_accent: var(--phone-accent, #2563eb);
  --_good: #16935f;
  --_wait: #b9770e;
  --_bad: #cb3a31;
  --_shadow: 0 1px 2px rgb(0 0 0 / 0.06), 0 18px 48px -12px rgb(0 0 0 / 0.22);

  --_pad: 20px;
  --_gap: 16px;
  --_caption: 32px;
  --_tools: 48px;

  display: block;
  position: relative;
  container-type: size;
  min-height: 240px;
  overflow: hidden;
  color: var(--_text);
  font: 13px/1.4 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
  -webkit-tap-highlight-color: transparent;
}
:host(:fullscreen) { background: var(--phone-background, #f4f4f2); }
@media (prefers-color-scheme: dark) {
  :host {
    --_text: var(--phone-text, #ededeb);
    --_muted: var(--phone-muted, #96989c);
    --_line: var(--phone-line, rgb(255 255 255 / 0.11));
    --_surface: var(--phone-surface, #1a1b1e);
    --_hover: var(--phone-hover, rgb(255 255 255 / 0.08));
    --_accent: var(--phone-accent, #6ea0ff);
    --_good: #3cc48d;
    --_wait: #e5ab45;
    --_bad: #f0736a;
    --_shadow: 0 1px 2px rgb(0 0 0 / 0.4), 0 24px 64px -12px rgb(0 0 0 / 0.7);
  }
  :host(:fullscreen) { background: var(--phone-background, #0d0e10); }
}
* { box-sizing: border-box; margin: 0; }
[hidden] { display: none !important; }

/* The largest phone that fits beside the buttons, or above them where the page is narrow. */
.frame {
  --_across: calc(100cqw - 2 * var(--_pad) - var(--_gap) - var(--_tools));
  --_down: calc(100cqh - 2 * var(--_pad) - var(--_caption));
  --_fit: min(var(--_across), var(--_down) * var(--_width) / var(--_height));
  display: grid;
  grid-template: "caption caption" var(--_caption) "screen tools" auto / var(--_fit) var(--_tools);
  column-gap: var(--_gap);
  place-content: center;
  height: 100%;
  padding: var(--_pad);
}

header { grid-area: caption; container-type: inline-size; display: flex; align-items: start; justify-content: space-between; padding: 0 2px; white-space: nowrap; }
.state { display: flex; align-items: center; gap: 8px; font-weight: 550; }
.state i { width: 8px; height: 8px; border-radius: 50%; background: var(--_muted); }
[data-state="live"] .state i { background: var(--_good); box-shadow: 0 0 0 3px color-mix(in srgb, var(--_good) 22%, transparent); }
:is([data-state="connecting"], [data-state="reconnecting"], [data-state="device-lost"]) .state i { background: var(--_wait); animation: breathe 1.4s ease-in-out infinite; }
[data-state="unavailable"] .state i { background: var(--_bad); }
.numbers { display: flex; gap: 14px; color: var(--_muted); font-size: 12px; line-height: 18px; }
@container (max-width: 400px) { .numbers { gap: 10px; font-size: 11px; } }
@container (max-width: 345px) { [data-number="rtt"] { display: none; } }
@container (max-width: 290px) { [data-number="loss"], [data-number="rate"] { display: none; } }
@container (max-width: 210px) { .numbers { display: none; } }

.screen {
  grid-area: screen;
  position: relative;
  aspect-ratio: var(--_width) / var(--_height);
  overflow: hidden;
  border-radius: 14px;
  background: #0b0c0e;
  box-shadow: 0 0 0 1px var(--_line), var(--_shadow);
  touch-action: none;
  user-select: none;
  -webkit-user-select: none;
  -webkit-touch-callout: none;
  outline: 2px solid transparent;
  outline-offset: 3px;
  transition: outline-color 0.15s;
}
.screen:has(textarea:focus) { outline-color: var(--_accent); }
video, canvas { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; transition: filter 0.3s; }
/* Before its first picture a video is a black square. */
.frame:not([data-has-picture]) video { opacity: 0; }
.frame:not([data-state="live"]) :is(video, canvas) { filter: saturate(0.55) brightness(0.42); }
textarea { position: absolute; left: 0; bottom: 0; width: 100%; height: 1.5em; padding: 0; border: 0; opacity: 0; resize: none; pointer-events: none; font-size: 16px; }

.notice {
  position: absolute;
  inset: 0;
  display: flex;
  flex-direction: column;
  align-items: center;
  justify-content: center;
  gap: 6px;
  padding: 24px;
  color: #f2f2f0;
  text-align: center;
  text-wrap: balance;
  background: radial-gradient(closest-side, rgb(0 0 0 / 0.62), rgb(0 0 0 / 0.4) 60%, transparent) center / max(100%, 420px) 360px no-repeat;
  animation: appear 0.3s ease-out 0.15s both;
}
[data-state="live"] .notice { display: none; }
.notice strong { font-size: 16px; font-weight: 600; letter-spacing: -0.005em; }
.notice p { max-width: 34ch; color: rgb(255 255 255 / 0.68); overflow-wrap: anywhere; }
.notice p:empty { display: none; }
.notice button { height: 36px; margin-top: 10px; padding: 0 18px; border: 1px solid rgb(255 255 255 / 0.28); border-radius: 18px; background: rgb(255 255 255 / 0.1); color: inherit; font: inherit; font-weight: 550; cursor: pointer; }
.notice button:hover { background: rgb(255 255 255 / 0.18); }
.spinner { width: 26px; height: 26px; margin-bottom: 10px; border: 2px solid rgb(255 255 255 / 0.2); border-top-color: rgb(255 255 255 / 0.9); border-radius: 50%; animation: turn 0.9s linear infinite; }
:is([data-state="unavailable"], [data-state="idle"]) .spinner { display: none; }

.complaint, .condition {
  position: absolute;
  inset: auto 12px 12px;
  width: fit-content;
  max-width: calc(100% - 24px);
  margin: 0 auto;
  padding: 7px 14px;
  border-radius: 12px;
  background: rgb(20 21 23 / 0.88);
  color: #f2f2f0;
  text-align: center;
  text-wrap: balance;
  overflow-wrap: anywhere;
  pointer-events: none;
  animation: appear 0.15s ease-out;
}
.condition { inset: auto 12px 46%; }
/* In the middle a phone that boots shows its maker's name. */
.condition[data-screen="booting"] { bottom: 22%; }
.frame:not([data-state="live"]) .condition { display: none; }

.toolbar {
  grid-area: tools;
  align-self: center;
  display: grid;
  grid-auto-flow: column;
  grid-template-rows: repeat(13, auto);
  gap: 2px;
  padding: 4px;
  border: 1px solid var(--_line);
  border-radius: 16px;
  background: var(--_surface);
}
.toolbar hr { width: 20px; margin: 4px auto; border: 0; border-top: 1px solid var(--_line); }
.toolbar button { display: grid; font-family: inherit; place-items: center; width: 38px; height: 38px; padding: 0; border: 0; border-radius: 12px; background: none; color: var(--_text); cursor: pointer; transition: background 0.12s; }
.toolbar button:hover { background: var(--_hover); }
.toolbar button:active { background: var(--_line); }
.toolbar button[aria-pressed="true"] { color: var(--_accent); background: var(--_hover); }
.frame:not([data-state="live"]) .toolbar [data-key] { color: var(--_muted); }
/* What is shown, in words where there is room. */
[data-action="quality"] span { display: grid; line-height: 13px; }
[data-action="quality"] small { color: var(--_muted); font-size: 9px; line-height: 11px; }
[data-action="quality"] b { font-size: 10px; font-weight: 550; letter-spacing: -0.04em; }
[data-action="quality"] svg { display: none; }
.toolbar button[aria-expanded="true"] { background: var(--_hover); }

.menu {
  grid-area: screen;
  place-self: end;
  z-index: 1;
  width: 164px;
  max-width: calc(100% - 16px);
  max-height: calc(100% - 16px);
  margin: 8px;
  overflow: auto;
  padding: 4px;
  border: 1px solid var(--_line);
  border-radius: 14px;
  background: color-mix(in srgb, var(--_surface) 92%, transparent);
  backdrop-filter: blur(18px) saturate(1.4);
  box-shadow: var(--_shadow);
  animation: appear 0.12s ease-out;
}
.menu button { display: flex; align-items: center; width: 100%; min-height: 34px; padding: 0 10px; border: 0; border-radius: 10px; background: none; color: inherit; font: inherit; text-align: left; cursor: pointer; }
.menu button::before { content: ""; width: 6px; height: 6px; margin-right: 10px; border-radius: 50%; }
.menu button[aria-checked="true"] { font-weight: 600; }
.menu button[aria-checked="true"]::before { background: var(--_accent); }
.menu button:hover, .menu button:focus-visible { background: var(--_hover); }
.menu button:focus-visible { outline-offset: -2px; }
.menu small { margin-left: auto; color: var(--_muted); font-size: 12px; font-weight: 400; }
.menu .reason { margin: 4px 6px 0; padding: 7px 4px 5px; border-top: 1px solid var(--_line); color: var(--_muted); font-size: 11px; text-wrap: pretty; overflow-wrap: anywhere; }
.menu .reason:empty { display: none; }
button:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
@media not (any-pointer: coarse) { [data-action="keyboard"] { display: none !important; } }

.statistics {
  position: absolute;
  top: var(--_pad);
  right: var(--_pad);
  width: 272px;
  max-width: calc(100cqw - 2 * var(--_pad));
  max-height: calc(100cqh - 2 * var(--_pad));
  overflow: auto;
  padding: 4px 16px 14px;
  border: 1px solid var(--_line);
  border-radius: 16px;
  background: color-mix(in srgb, var(--_surface) 88%, transparent);
  backdrop-filter: blur(18px) saturate(1.4);
  box-shadow: var(--_shadow);
  animation: appear 0.15s ease-out;
}
/* On a small page the panel may cover the button that opened it. */
.statistics button { position: sticky; top: 6px; float: right; display: grid; place-items: center; width: 26px; height: 26px; margin: 4px -9px 0 0; padding: 0; border: 0; border-radius: 9px; background: color-mix(in srgb, var(--_surface) 88%, transparent); color: var(--_muted); cursor: pointer; }
.statistics button:hover { background: var(--_hover); color: var(--_text); }
.statistics h3 { margin: 12px 0 4px; color: var(--_muted); font-size: 11px; font-weight: 550; letter-spacing: 0.02em; }
.statistics dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 16px; font-size: 12px; }
.statistics dt { white-space: nowrap; }
.statistics dd { text-align: right; overflow-wrap: anywhere; }
.statistics .note { grid-column: 1 / -1; color: var(--_muted); font-size: 11px; text-align: left; text-wrap: pretty; }
.statistics [title] { cursor: help; }

/* The numbers beside the phone, where there is room. */
@container (min-width: 700px) and (min-aspect-ratio: 9/10) {
  :host([statistics]) .frame { --_across: calc(100cqw - 3 * var(--_pad) - var(--_gap) - var(--_tools) - 272px); padding-right: calc(2 * var(--_pad) + 272px); }
}

/* The buttons below the phone: a page taller than wide. */
@container (max-aspect-ratio: 9/10) {
  .frame {
    --_across: calc(100cqw - 2 * var(--_pad));
    --_down: calc(100cqh - 2 * var(--_pad) - var(--_caption) - var(--_gap) - var(--_tools));
    grid-template: "caption" var(--_caption) "screen" auto "tools" calc(var(--_gap) + var(--_tools)) / var(--_fit);
  }
  .toolbar { align-self: end; justify-self: center; display: flex; gap: 0; max-width: calc(100cqw - 2 * var(--_pad)); }
  .toolbar hr { width: 1px; height: 20px; margin: auto 3px; border: 0; border-left: 1px solid var(--_line); }
  .toolbar button { flex: 1 1 38px; min-width: 0; }
  .menu { justify-self: center; }
}
@container (max-aspect-ratio: 9/10) and (max-width: 480px) {
  [data-action="quality"] svg { display: block; }
  [data-action="quality"] span { display: none; }
}
@container (max-width: 560px) {
  .frame { --_pad: 10px; --_gap: 10px; --_caption: 28px; }
  .statistics { --_pad: 10px; top: 38px; max-height: calc(100cqh - 48px); }
}
@container (max-height: 510px) {
  .frame { --_pad: 10px; --_caption: 26px; --_tools: 126px; }
  .toolbar { grid-template-rows: repeat(4, auto); }
  .toolbar hr { display: none; }
}

@keyframes turn { to { transform: rotate(1turn); } }
@keyframes breathe { 50% { opacity: 0.35; } }
@keyframes appear { from { opacity: 0; } }
@media (prefers-reduced-motion: reduce) {
  *, .spinner, .state i { animation-duration: 0s; animation-iteration-count: 1; transition: none; }
  .spinner { border-top-color: rgb(255 255 255 / 0.2); }
}
`);
