// The tabs at the lower right: the output, the log, and code samples.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { texts } from "../../operator/texts";
import { CodePanel } from "./code-panel";
import { LogPanel } from "./log-panel";
import { OutputPanel } from "./output-panel";

const TABS = [
  { id: "output", Content: OutputPanel },
  { id: "log", Content: LogPanel },
  { id: "code", Content: CodePanel },
] as const;

type Tab = (typeof TABS)[number];

/** The tab that an arrow key moves to, and around the ends; null for other keys. */
function neighbour(tab: Tab, key: string): Tab | null {
  if (key !== "ArrowLeft" && key !== "ArrowRight") return null;
  const step = key === "ArrowRight" ? 1 : TABS.length - 1;
  return TABS[(TABS.indexOf(tab) + step) % TABS.length] ?? null;
}

export function Panel(): JSX.Element {
  const [open, setOpen] = useState<Tab>(TABS[0]);
  return (
    <section class="card panel">
      <div class="tabs" role="tablist" aria-label={texts.value.playground.tabs.title}>
        {TABS.map((tab) => (
          <button
            key={tab.id}
            id={`tab-${tab.id}`}
            role="tab"
            type="button"
            aria-selected={tab === open}
            aria-controls={`panel-${tab.id}`}
            tabIndex={tab === open ? 0 : -1}
            onClick={() => setOpen(tab)}
            onKeyDown={(event) => {
              const next = neighbour(tab, event.key);
              if (next === null) return;
              setOpen(next);
              document.getElementById(`tab-${next.id}`)?.focus();
            }}
          >
            {texts.value.playground.tabs[tab.id]}
          </button>
        ))}
      </div>
      <div class="tab-body" role="tabpanel" id={`panel-${open.id}`} aria-labelledby={`tab-${open.id}`}>
        <open.Content />
      </div>
    </section>
  );
}
