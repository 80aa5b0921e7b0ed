// The audit log: who has changed what, when and from where.

import type { JSX } from "preact";
import { texts } from "../../operator/texts";
import { useListed } from "../actions/loading";
import { setFilter } from "../actions/navigate";
import { Empty, Shown } from "../parts/states";
import { Table } from "../parts/table";
import { AccountChoice, Heading, More, When } from "../parts/view";
import { addressOf, type View } from "../state/route";
import { route } from "../state/signals";
import { actionText, shortId } from "../state/texts";
import type { AuditEntry } from "../wire/types";

export function Audit(): JSX.Element {
  const t = texts.value.operatorConsole;
  const { account_id = "", subject_id = "", actor_id = "" } = route.value.filters;
  const listed = useListed(
    `${account_id} ${subject_id} ${actor_id}`,
    (server, cursor) => server.audit({ account_id, subject_id, actor_id, cursor, limit: "50" }),
    (page) => page.entries,
  );
  return (
    <>
      <Heading title={t.names.audit} />
      <div class="filter-row">
        <AccountChoice />
        <IdFilter label={t.audit.doneTo} filter="subject_id" placeholder={t.audit.doneToHint} />
        <IdFilter label={t.audit.doneBy} filter="actor_id" placeholder={t.audit.doneByHint} />
      </div>
      <Shown loaded={listed}>
        {(entries) =>
          entries.length === 0 ? (
            <Empty icon="list" title={t.audit.none}>
              {t.audit.noneYet}
            </Empty>
          ) : (
            <AuditTable entries={entries} />
          )
        }
      </Shown>
      <More listed={listed} />
    </>
  );
}

function IdFilter({ label, filter, placeholder }: { label: string; filter: string; placeholder: string }): JSX.Element {
  return (
    <label class="choice">
      <span>{label}</span>
      <input
        class="mono"
        type="search"
        placeholder={placeholder}
        spellcheck={false}
        maxLength={100}
        value={route.value.filters[filter] ?? ""}
        onChange={(event) => setFilter(filter, event.currentTarget.value.trim())}
      />
    </label>
  );
}

export function AuditTable({ entries }: { entries: AuditEntry[] }): JSX.Element {
  const t = texts.value.operatorConsole.audit;
  return (
    <Table caption={t.caption}>
      <thead>
        <tr>
          <th scope="col">{t.when}</th>
          <th scope="col">{t.what}</th>
          <th scope="col">{t.of}</th>
          <th scope="col">{t.by}</th>
          <th scope="col">{t.from}</th>
          <th scope="col">{t.details}</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <tr key={entry.audit_id}>
            <td>
              <When time={entry.at} />
            </td>
            <td>{actionText(entry.action)}</td>
            <td>
              <Subject id={entry.subject_id} />
            </td>
            <td>
              {entry.actor === "key" ? <code title={entry.actor_id ?? ""}>{shortId(entry.actor_id ?? "")}</code> : null}
              {entry.actor === "command" ? t.command(entry.actor_id ?? t.aUser) : null}
              {entry.actor === "server" ? t.theServer : null}
            </td>
            <td class="mono">{entry.address ?? <span class="none">–</span>}</td>
            <td class="details mono">{detailsOf(entry)}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

const PLACES: Record<string, View> = { sess: "sessions", hook: "webhooks", acct: "accounts" };

function Subject({ id }: { id: string }): JSX.Element {
  const view = PLACES[id.split("_", 1)[0] ?? ""];
  const shown = <code title={id}>{shortId(id)}</code>;
  return view === undefined ? (
    shown
  ) : (
    <a class="plain-link" href={addressOf(view, id)}>
      {shown}
    </a>
  );
}

function detailsOf(entry: AuditEntry): string {
  return Object.entries(entry.details)
    .map(([name, value]) => `${name} ${typeof value === "string" ? shortId(value) : JSON.stringify(value)}`)
    .join(", ");
}
