// A table that scrolls sideways where it is wider than the window.

import type { ComponentChildren, JSX } from "preact";

/** `caption`: its name for screen readers. The frame takes the focus, so that the arrow keys can scroll it. */
export function Table({ caption, children }: { caption: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="card table-card" role="group" aria-label={caption} tabIndex={0}>
      <table aria-label={caption}>{children}</table>
    </div>
  );
}
