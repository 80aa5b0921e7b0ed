// The line icons, drawn for this project on a 24-unit grid, and the mark: two faces that look at each other.

import type { JSX } from "preact";

const PATHS = {
  microphone:
    "M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 0 0-7 0v5A3.5 3.5 0 0 0 12 15zM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
  hands: "M4 12h2M8 8v8M12 4.5v15M16 8v8M18 12h2",
  sample: "M8 5.5v13l10.5-6.5z",
  file: "M9 18V6.5l10-2V16M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM19 16a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z",
  interrupt: "M8.5 8.5h7v7h-7zM12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18z",
  end: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  sun:
    "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2" +
    "M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
  key: "M14.5 4a5.5 5.5 0 1 1-4.2 9L8.5 15H6.5v2h-2v2.5H3V17l6.3-6.3A5.5 5.5 0 0 1 14.5 4zM16 8h.01",
  sound: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.7 7.7 0 0 1 0 11",
  muted: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  link: "M9.5 14.5l5-5M8 11l-2.2 2.2a3.5 3.5 0 0 0 5 5L13 16M16 13l2.2-2.2a3.5 3.5 0 0 0-5-5L11 8",
  say: "M5 5h14v10.5h-8.5L7 19v-3.5H5zM8.5 9h7M8.5 12h4.5",
  plus: "M12 5v14M5 12h14",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.3 10.5v5.5M13.7 10.5v5.5",
  copy: "M9 9h10.5v10.5H9zM5.5 15H4.5V4.5H15v1",
  check: "M5 12.5l4.5 4.5L19 7.5",
  live:
    "M12 9.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5zM7.5 7.5a6.4 6.4 0 0 0 0 9M16.5 7.5a6.4 6.4 0 0 1 0 9" +
    "M4.7 4.7a10.3 10.3 0 0 0 0 14.6M19.3 4.7a10.3 10.3 0 0 1 0 14.6",
  face: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM9.2 10.2h.01M14.8 10.2h.01M8.8 14.2a4.2 4.2 0 0 0 6.4 0",
  people:
    "M9 5.5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM3.5 19a5.5 5.5 0 0 1 11 0M15.5 6a2.8 2.8 0 0 1 0 5.4" +
    "M17 14.2a5.4 5.4 0 0 1 3.5 4.8",
  plan: "M4.5 6.5h15v11h-15zM4.5 10.5h15M8 14.2h3.5",
  hook:
    "M8.2 11.6a3.6 3.6 0 1 1 6.3-3.3L17 12.8M12 9l-2.6 5.2a3.6 3.6 0 1 1-5-3.2M15.8 15.2h-5.3" +
    "M17 12.8a3.6 3.6 0 1 1-2.4 6.2",
  gauge: "M4.2 17a9 9 0 1 1 15.6 0M12 14.5l4-5M12 14.5h.01",
  list: "M8.5 6.5h11M8.5 12h11M8.5 17.5h11M4.5 6.5h.01M4.5 12h.01M4.5 17.5h.01",
  again: "M19.5 12a7.5 7.5 0 1 1-2.4-5.5L19.5 9M19.5 4.5V9H15",
  play: "M7 4.5v15l12-7.5z",
  send: "M20 4L10.5 13.5M20 4l-6 16-3.5-6.5L4 10z",
  back: "M14.5 6l-6 6 6 6",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

// One face on the left, one on the right.
const LEFT_FACE =
  "M12.2 2.6C6.3 4.3 2 9.7 2 16s4.3 11.7 10.2 13.4c.5-2.2.3-3.9-.1-5.3-.3-1 .1-1.6.8-2.2" +
  "-.9-.5-1-1.3-.3-2 .3-.4.2-.7-.1-1.1l2-.3c.5-.1.6-.5.4-.9l-2.7-4.5c-.4-.7-.4-1.3-.2-2.1.7-2.9.9-5.9.2-8.4z";
const RIGHT_FACE =
  "M19.8 2.6C25.7 4.3 30 9.7 30 16s-4.3 11.7-10.2 13.4c-.5-2.2-.3-3.9.1-5.3.3-1-.1-1.6-.8-2.2" +
  ".9-.5 1-1.3.3-2-.3-.4-.2-.7.1-1.1l-2-.3c-.5-.1-.6-.5-.4-.9l2.7-4.5c.4-.7.4-1.3.2-2.1-.7-2.9-.9-5.9-.2-8.4z";

export function Mark(): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d={LEFT_FACE} />
      <path class="accent" d={RIGHT_FACE} />
    </svg>
  );
}
