// alpha.js: shows a transparent avatar in any page. It is one file without dependencies. docs/howto/background.md shows
// its use.

import { composeAlpha } from "../matte/compose";
import { VisavisAvatar } from "./element";

declare global {
  interface Window {
    visavis?: { composeAlpha: typeof composeAlpha };
  }
}

window.visavis = { ...window.visavis, composeAlpha };
if (customElements.get("visavis-avatar") === undefined) customElements.define("visavis-avatar", VisavisAvatar);
