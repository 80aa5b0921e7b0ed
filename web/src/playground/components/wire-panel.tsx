// The log of the wire: newest last, kept in view unless the visitor has scrolled away.

import type { JSX } from "preact";
import { memo } from "preact/compat";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { log, wire } from "../state";
import { formatTime, type WireEntry, type WireKind } from "../wire-log";
import { CopyButton } from "./copy-button";
import { Icon } from "./icons";

const KINDS: [WireKind | "all", string][] = [
  ["all", "All"],
  ["rest", "REST"],
  ["channel", "Channel"],
  ["room", "Room"],
];

export function WirePanel(): JSX.Element {
  const [kind, setKind] = useState<WireKind | "all">("all");
  const [search, setSearch] = useState("");
  const list = useRef<HTMLOListElement>(null);
  const atEnd = useRef(true);
  const wanted = search.trim().toLowerCase();
  const entries = wire.value.filter((entry) => (kind === "all" || entry.kind === kind) && (wanted === "" || JSON.stringify([entry.title, entry.note, entry.body]).toLowerCase().includes(wanted)));

  useLayoutEffect(() => {
    if (list.current !== null && atEnd.current) list.current.scrollTop = list.current.scrollHeight;
  }, [wire.value, kind, search]);

  return (
    <>
      <div class="filters">
        <select aria-label="Show" value={kind} onChange={(event) => setKind(event.currentTarget.value as WireKind | "all")}>
          {KINDS.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
        <input type="search" aria-label="Filter" placeholder="Filter" value={search} onInput={(event) => setSearch(event.currentTarget.value)} />
        <CopyButton label="Copy what is shown" text={() => entries.map(line).join("\n")} />
        <button class="quiet square" type="button" aria-label="Clear the log" title="Clear the log" onClick={() => log.clear()}>
          <Icon name="trash" />
        </button>
      </div>
      <ol
        class="wire"
        ref={list}
        tabIndex={0}
        aria-label="Wire messages"
        onScroll={(event) => {
          const { scrollTop, clientHeight, scrollHeight } = event.currentTarget;
          atEnd.current = scrollTop + clientHeight > scrollHeight - 24;
        }}
      >
        {entries.length === 0 && <li class="nothing">{wire.value.length === 0 ? "Every request and message of this page appears here." : "Nothing matches the filter."}</li>}
        {entries.map((entry) => (
          <Entry key={entry.id} entry={entry} />
        ))}
      </ol>
    </>
  );
}

function line({ atMs, direction, title, note, body }: WireEntry): string {
  return [formatTime(atMs), direction === "out" ? "→" : "←", title, note, body === undefined ? "" : JSON.stringify(body)].filter(Boolean).join(" ");
}

/** Ids are 26 letters that say little: their last four are enough to tell them apart. */
function shortened(title: string): string {
  return title.replace(/(sess|avat|view)_[0-9A-Z]{22}([0-9A-Z]{4})/g, "$1_…$2");
}

const Entry = memo(function Entry({ entry }: { entry: WireEntry }): JSX.Element {
  const [open, setOpen] = useState(false);
  const head = (
    <>
      <time>{formatTime(entry.atMs)}</time>
      <span class="direction" data-direction={entry.direction}>
        <span aria-hidden="true">{entry.direction === "out" ? "↑" : "↓"}</span>
        <span class="visually-hidden">{entry.direction === "out" ? "sent" : "received"}</span>
      </span>
      <span class="title" title={entry.title}>
        {shortened(entry.title)}
      </span>
      <span class="note">{entry.note}</span>
    </>
  );
  if (entry.body === undefined) {
    return (
      <li data-kind={entry.kind} data-failed={entry.failed}>
        <div class="row">{head}</div>
      </li>
    );
  }
  return (
    <li data-kind={entry.kind} data-failed={entry.failed}>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary class="row">{head}</summary>
        {open && (
          <div class="json">
            <pre>{JSON.stringify(entry.body, null, 2)}</pre>
            <CopyButton label="Copy this message" text={() => JSON.stringify(entry.body, null, 2)} />
          </div>
        )}
      </details>
    </li>
  );
});
