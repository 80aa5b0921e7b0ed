// Shortcuts: Space held talks, Esc interrupts, M mutes. None of them works from within a control that has its own use for the key.

import { closeMicrophone, interrupt, openMicrophone } from "./speaking";
import { canSpeak, microphone, muted } from "./state";

const CONTROLS = "input, textarea, select, button, a, summary, dialog[open], [contenteditable]";

function inControl(event: KeyboardEvent): boolean {
  return event.target instanceof Element && event.target.closest(CONTROLS) !== null;
}

export function bindKeys(): void {
  let holding = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") !== null) return;
    if (event.key === "Escape") interrupt();
    if (inControl(event)) return;
    if (event.key === "m") muted.value = !muted.value;
    if (event.code === "Space") {
      event.preventDefault(); // or the page scrolls
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
  document.addEventListener("keyup", (event) => event.code === "Space" && release());
  addEventListener("blur", release);
}
