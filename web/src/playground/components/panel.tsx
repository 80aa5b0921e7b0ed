// The lower right: the wire, and the code that does the same.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { CodePanel } from "./code-panel";
import { WirePanel } from "./wire-panel";

const TABS = [
  ["wire", "Wire"],
  ["code", "Code"],
] as const;

export function Panel(): JSX.Element {
  const [tab, setTab] = useState<"wire" | "code">("wire");
  return (
    <section class="card panel">
      <div class="tabs" role="tablist" aria-label="Behind the page">
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
              const other = id === "wire" ? "code" : "wire";
              setTab(other);
              document.getElementById(`tab-${other}`)?.focus();
            }}
          >
            {name}
          </button>
        ))}
      </div>
      <div class="tab-body" role="tabpanel" id={`panel-${tab}`} aria-labelledby={`tab-${tab}`}>
        {tab === "wire" ? <WirePanel /> : <CodePanel />}
      </div>
    </section>
  );
}
