// What a page of others does with the package: it shows an avatar, and has it speak a track.
import { connect, VisavisAvatar } from "@visavis/client";
import "@visavis/client/element";
import { readDictionary } from "@visavis/client/timings";

export function begin() {
  window.visavis = { connect, VisavisAvatar, readDictionary };
  document.body.dataset.element = String(customElements.get("visavis-avatar") === VisavisAvatar);
}
