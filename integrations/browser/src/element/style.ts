// The look of <visavis-avatar>: what lies over the picture, in light and dark. A constructed style sheet, because a
// strict content security policy forbids <style>.

const STYLE = `
:host {
  --_surface: var(--visavis-surface, rgb(255 255 255 / 94%));
  --_text: var(--visavis-text, #1d2128);
  --_line: var(--visavis-line, rgb(29 33 40 / 16%));
  --_accent: var(--visavis-accent, #2457d6);
  --_warning: var(--visavis-warning, #b45309);
  display: inline-block; position: relative; inline-size: 320px; aspect-ratio: 1; max-inline-size: 100%;
  font: 500 14px/1.4 system-ui, sans-serif;
}
:host([hidden]) { display: none; }
@media (prefers-color-scheme: dark) {
  :host {
    --_surface: var(--visavis-surface, rgb(28 32 39 / 94%));
    --_text: var(--visavis-text, #eef1f5);
    --_line: var(--visavis-line, rgb(238 241 245 / 22%));
    --_accent: var(--visavis-accent, #8db1ff);
    --_warning: var(--visavis-warning, #fbbf24);
  }
}
.picture { position: absolute; inset: 0; overflow: hidden; border-radius: inherit; }
.over {
  position: absolute; inset: 0; padding: 12px; box-sizing: border-box; pointer-events: none;
  display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 10px;
}
:host([state="live"]) .over, :host([state="reconnecting"]) .over { justify-content: flex-end; }
.status, button {
  color: var(--_text); background: var(--_surface); border: 1px solid var(--_line); border-radius: 999px;
  padding: 6px 14px; box-sizing: border-box; max-inline-size: 100%; text-align: center;
  box-shadow: 0 1px 4px rgb(0 0 0 / 14%);
}
.status { display: flex; align-items: center; gap: 8px; border-radius: 18px; }
.status[hidden], button[hidden] { display: none; }
.mark { flex: none; inline-size: 10px; block-size: 10px; border-radius: 50%; box-sizing: border-box; }
:host([state="connecting"]) .mark, :host([state="waiting"]) .mark, :host([state="reconnecting"]) .mark {
  border: 2px solid var(--_accent); border-inline-start-color: transparent; animation: turn 0.9s linear infinite;
}
:host([state="ended"]) .mark { background: var(--_text); opacity: 0.55; }
:host([state="refused"]) .mark { background: var(--_warning); }
button { pointer-events: auto; font: inherit; min-block-size: 44px; padding-inline: 18px; cursor: pointer; }
button:hover { border-color: currentcolor; }
button:focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; }
@keyframes turn { to { rotate: 1turn; } }
@media (prefers-reduced-motion: reduce) {
  .mark { animation: none !important; border-inline-start-color: currentcolor; }
}
@media (forced-colors: active) { .mark { border-color: CanvasText; } }
`;

let sheet: CSSStyleSheet | null = null;

/** Give a shadow root the look of the element. */
export function addStyle(root: ShadowRoot): void {
  if (typeof CSSStyleSheet.prototype.replaceSync === "function" && "adoptedStyleSheets" in root) {
    if (sheet === null) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
    }
    root.adoptedStyleSheets = [sheet];
  } else {
    const style = document.createElement("style"); // Safari before 16.4
    style.textContent = STYLE;
    root.append(style);
  }
}
