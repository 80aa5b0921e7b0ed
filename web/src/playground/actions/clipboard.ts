// Copies texts to the clipboard.

import { texts } from "../../operator/texts";
import { notify } from "./notice";

/** Copy a text. Return whether the browser allowed it; the visitor is told if not. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    notify(texts.value.shared.cannotCopy, true);
    return false;
  }
}
