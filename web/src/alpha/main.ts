// alpha.js: shows a transparent avatar in any page. It is one file without dependencies. docs/howto/background.md shows
// its use.

import { composeAlpha } from "@client/matte/compose.js";
import { VisavisAvatar } from "@client/element/visavis-avatar.js";

declare global {
  interface Window {
    visavis?: { composeAlpha: typeof composeAlpha };
  }
}

window.visavis = { ...window.visavis, composeAlpha };
if (customElements.get("visavis-avatar") === undefined) customElements.define("visavis-avatar", VisavisAvatar);
