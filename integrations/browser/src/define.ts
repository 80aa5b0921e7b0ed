// @visavis/client/element: defines <visavis-avatar>. On a server it defines nothing.

import { VisavisAvatar } from "./element/visavis-avatar.js";

export * from "./index.js";
export { VisavisAvatar };

const { customElements } = globalThis as { customElements?: CustomElementRegistry };
if (customElements?.get("visavis-avatar") === undefined) customElements?.define("visavis-avatar", VisavisAvatar);
