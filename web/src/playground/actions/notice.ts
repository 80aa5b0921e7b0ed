// One line of text for the visitor, below the controls.

import { notice } from "../state/signals";

const NOTICE_MS = 5_000;

/** Show a line. It disappears by itself, unless it reports a failure. */
export function notify(text: string, failed: boolean): void {
  const line = { text, failed };
  notice.value = line;
  if (failed) return;
  setTimeout(() => {
    if (notice.value === line) notice.value = null;
  }, NOTICE_MS);
}
