// The playground page: mounts it, and ties the session to the page's life.

import { render } from "preact";
import { App } from "./components/app";
import { bindKeys } from "./keys";
import { begin } from "./avatars";
import { endSession } from "./live-session";
import { wakeSound } from "./speaking";

const root = document.getElementById("app");
if (root !== null) {
  root.replaceChildren();
  render(<App />, root);
}

bindKeys();
for (const gesture of ["pointerdown", "keydown"]) document.addEventListener(gesture, wakeSound, { passive: true });
addEventListener("pagehide", endSession);
void begin();
