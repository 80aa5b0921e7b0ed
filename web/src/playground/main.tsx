// The playground page: shows it, and ends the session when the page is closed.

import { render } from "preact";
import { endSession } from "./actions/session";
import { open } from "./actions/sign-in";
import { wakeSound } from "./actions/speech";
import { declareLanguage } from "../operator/texts";
import { App } from "./components/app";
import { bindShortcuts } from "./shortcuts";

declareLanguage();
const root = document.getElementById("app");
if (root !== null) {
  root.replaceChildren();
  render(<App />, root);
}

bindShortcuts();
for (const gesture of ["pointerdown", "keydown"]) document.addEventListener(gesture, wakeSound, { passive: true });
addEventListener("pagehide", endSession);
void open();
