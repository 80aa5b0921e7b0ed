import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { say } from "../state";
import { Icon } from "./icons";

export function CopyButton({ label, text }: { label: string; text: () => string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text());
      setCopied(true);
      setTimeout(() => setCopied(false), 1_500);
    } catch {
      say("The browser did not let this page copy.", true);
    }
  };
  return (
    <button class="quiet square copy" type="button" aria-label={copied ? "Copied" : label} title={label} onClick={() => void copy()}>
      <Icon name={copied ? "check" : "copy"} />
    </button>
  );
}
