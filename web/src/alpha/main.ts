// alpha.js: what a page of anybody's needs to show a transparent avatar. One file, no dependencies; docs/howto/background.md shows its use.

import { composeAlpha } from "./compose";
import { VisavisAvatar } from "./element";

declare global {
  interface Window {
    visavis?: { composeAlpha: typeof composeAlpha };
  }
}

window.visavis = { ...window.visavis, composeAlpha };
if (customElements.get("visavis-avatar") === undefined) customElements.define("visavis-avatar", VisavisAvatar);
