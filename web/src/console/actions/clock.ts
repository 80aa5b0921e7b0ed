// The clock of the page.

import { nowMs } from "../state/signals";

/** Advance the time once a second while the page is seen. */
export function startClock(): void {
  setInterval(() => {
    if (!document.hidden) nowMs.value = Date.now();
  }, 1_000);
}
