// A value as JSON, in a block that scrolls.

import type { JSX } from "preact";

/** `framed`: it stands alone, as a card. The block takes the focus, so that the arrow keys can scroll it. */
export function Json({ value, framed = false }: { value: unknown; framed?: boolean }): JSX.Element {
  return (
    <pre class={framed ? "card json-block" : "json-block"} tabIndex={0}>
      {JSON.stringify(value, null, 2)}
    </pre>
  );
}
