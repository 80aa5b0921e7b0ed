// The console page: what an operator sees and does, over the calls of /v1/admin.

import { render } from "preact";
import { startClock } from "./actions/clock";
import { followAddress } from "./actions/navigate";
import { open } from "./actions/sign-in";
import { declareLanguage } from "../operator/texts";
import { App } from "./views/app";

declareLanguage();
const root = document.getElementById("app");
if (root !== null) {
  root.replaceChildren();
  render(<App />, root);
}

startClock();
followAddress();
void open();
