// A sentence with parts that are no text.

import type { ComponentChildren, JSX } from "preact";

/** Put each of `parts` where `{its name}` stands in the text. */
export function Sentence({ text, ...parts }: { text: string; [name: string]: ComponentChildren }): JSX.Element {
  return <>{text.split(/\{(\w+)\}/).map((piece, index) => (index % 2 === 0 ? piece : parts[piece]))}</>;
}
