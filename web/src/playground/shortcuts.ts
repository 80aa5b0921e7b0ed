// Keyboard shortcuts: hold Space to talk, Esc interrupts, M mutes. Space and M do nothing while a control has the
// focus.

import { closeMicrophone, openMicrophone } from "./actions/microphone";
import { interrupt, toggleMuted } from "./actions/speech";
import { canSpeak, microphone } from "./state/signals";

const CONTROLS = "input, textarea, select, button, a, summary, dialog[open], [contenteditable]";

function inControl(event: KeyboardEvent): boolean {
  return event.target instanceof Element && event.target.closest(CONTROLS) !== null;
}

export function bindShortcuts(): void {
  let holding = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") !== null) return;
    if (event.key === "Escape") interrupt();
    if (inControl(event)) return;
    if (event.key === "m") toggleMuted();
    if (event.code === "Space") {
      event.preventDefault(); // else the page scrolls
      if (!event.repeat && canSpeak.value && microphone.value === "off") {
        holding = true;
        void openMicrophone("hold");
      }
    }
  });
  const release = (): void => {
    if (holding) closeMicrophone();
    holding = false;
  };
  document.addEventListener("keyup", (event) => {
    if (event.code === "Space") release();
  });
  addEventListener("blur", release);
}
