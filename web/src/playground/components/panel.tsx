// The lower right: how the avatar looks, the wire, and the code that does the same.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { CodePanel } from "./code-panel";
import { LookPanel } from "./look-panel";
import { WirePanel } from "./wire-panel";

type Tab = "look" | "wire" | "code";
const TABS: readonly (readonly [Tab, string])[] = [
  ["look", "Look"],
  ["wire", "Wire"],
  ["code", "Code"],
];

export function Panel(): JSX.Element {
  const [tab, setTab] = useState<Tab>("look");
  return (
    <section class="card panel">
      <div class="tabs" role="tablist" aria-label="Look, and behind the page">
        {TABS.map(([id, name]) => (
          <button
            key={id}
            id={`tab-${id}`}
            role="tab"
            type="button"
            aria-selected={tab === id}
            aria-controls={`panel-${id}`}
            tabIndex={tab === id ? 0 : -1}
            onClick={() => setTab(id)}
            onKeyDown={(event) => {
              if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
              const step = event.key === "ArrowRight" ? 1 : TABS.length - 1;
              const [other] = TABS[(TABS.findIndex(([known]) => known === id) + step) % TABS.length]!;
              setTab(other);
              document.getElementById(`tab-${other}`)?.focus();
            }}
          >
            {name}
          </button>
        ))}
      </div>
      <div class="tab-body" role="tabpanel" id={`panel-${tab}`} aria-labelledby={`tab-${tab}`}>
        {tab === "look" ? <LookPanel /> : tab === "wire" ? <WirePanel /> : <CodePanel />}
      </div>
    </section>
  );
}
