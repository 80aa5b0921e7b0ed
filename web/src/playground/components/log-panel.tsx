// The log of requests and messages, the newest last. It follows the newest entry unless the visitor has scrolled up.

import type { JSX } from "preact";
import { memo } from "preact/compat";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { log, logEntries } from "../state/signals";
import { formatTime, type WireEntry, type WireKind } from "../wire/wire-log";
import { CopyButton } from "./copy-button";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";

type Kind = WireKind | "all";

const KINDS: readonly Kind[] = ["all", "rest", "channel", "room"];
const END_TOLERANCE_PX = 24;

export function LogPanel(): JSX.Element {
  const t = texts.value.playground.log;
  const [kind, setKind] = useState<Kind>("all");
  const [search, setSearch] = useState("");
  const list = useRef<HTMLOListElement>(null);
  const atEnd = useRef(true);
  const entries = logEntries.value.filter((entry) => matches(entry, kind, search.trim().toLowerCase()));

  useLayoutEffect(() => {
    if (list.current !== null && atEnd.current) list.current.scrollTop = list.current.scrollHeight;
  }, [logEntries.value, kind, search]);

  return (
    <>
      <div class="filters">
        <select aria-label={t.kind} value={kind} onChange={(event) => setKind(event.currentTarget.value as Kind)}>
          {KINDS.map((value) => (
            <option key={value} value={value}>
              {t.kinds[value]}
            </option>
          ))}
        </select>
        <input
          type="search"
          aria-label={t.filter}
          placeholder={t.filter}
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <CopyButton label={t.copy} text={() => entries.map(textOf).join("\n")} />
        <button class="quiet square" type="button" aria-label={t.clear} title={t.clear} onClick={() => log.clear()}>
          <Icon name="trash" />
        </button>
      </div>
      <ol
        class="log"
        ref={list}
        tabIndex={0}
        aria-label={t.entries}
        onScroll={(event) => {
          const { scrollTop, clientHeight, scrollHeight } = event.currentTarget;
          atEnd.current = scrollTop + clientHeight > scrollHeight - END_TOLERANCE_PX;
        }}
      >
        {entries.length === 0 && <li class="empty">{logEntries.value.length === 0 ? t.empty : t.noMatch}</li>}
        {entries.map((entry) => (
          <Entry key={entry.id} entry={entry} />
        ))}
      </ol>
    </>
  );
}

function matches({ kind, title, note, body }: WireEntry, wanted: Kind, search: string): boolean {
  if (wanted !== "all" && kind !== wanted) return false;
  return search === "" || JSON.stringify([title, note, body]).toLowerCase().includes(search);
}

function textOf({ atMs, direction, title, note, body }: WireEntry): string {
  const parts = [formatTime(atMs), direction === "out" ? "→" : "←", title, note];
  if (body !== undefined) parts.push(JSON.stringify(body));
  return parts.filter((part) => part !== "").join(" ");
}

/** Cut the 26 letters of ids to the last four, which are enough to tell them apart. */
function withShortIds(title: string): string {
  return title.replace(/(sess|avat|view)_[0-9A-Z]{22}([0-9A-Z]{4})/g, "$1_…$2");
}

const Entry = memo(function Entry({ entry }: { entry: WireEntry }): JSX.Element {
  const [open, setOpen] = useState(false);
  const t = texts.value.playground.log;
  const sent = entry.direction === "out";
  const head = (
    <>
      <time>{formatTime(entry.atMs)}</time>
      <span class="direction" data-direction={entry.direction}>
        <span aria-hidden="true">{sent ? "↑" : "↓"}</span>
        <span class="visually-hidden">{sent ? t.sent : t.received}</span>
      </span>
      <span class="title" title={entry.title}>
        {withShortIds(entry.title)}
      </span>
      <span class="note">{entry.note}</span>
    </>
  );
  const json = (): string => JSON.stringify(entry.body, null, 2);
  return (
    <li data-failed={entry.failed}>
      {entry.body === undefined ? (
        <div class="row">{head}</div>
      ) : (
        <details onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary class="row">{head}</summary>
          {open && (
            <div class="json">
              <pre>{json()}</pre>
              <CopyButton label={t.copyOne} text={json} />
            </div>
          )}
        </details>
      )}
    </li>
  );
});
