// A button that copies a text to the clipboard.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";
import { notify } from "../actions/tell";

const COPIED_MS = 1_500;

export function CopyButton({ label, text }: { label: string; text: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      notify(texts.value.shared.cannotCopy, true);
      return;
    }
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  return (
    <button
      class="quiet square copy"
      type="button"
      aria-label={copied ? texts.value.shared.copied : label}
      title={label}
      onClick={() => void copy()}
    >
      <Icon name={copied ? "check" : "copy"} />
    </button>
  );
}
