// The parts of every view: its heading, its filters, the end of a list, times and states.

import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";
import { setFilter } from "../actions/navigate";
import type { Listed } from "../actions/loading";
import { accounts, nowMs, route } from "../state/signals";
import { addressOf } from "../state/route";
import { ago, exactly } from "../state/texts";
import type { OfAccount } from "../wire/types";

interface HeadingProps {
  title: string;
  back?: { name: string; address: string };
  children?: ComponentChildren; // actions, at the right
}

export function Heading({ title, back, children }: HeadingProps): JSX.Element {
  useEffect(() => {
    document.title = texts.value.operatorConsole.pageTitle(title);
  }, [title, texts.value]);
  return (
    <div class="view-head">
      <div>
        {back !== undefined && (
          <a class="back" href={back.address}>
            <Icon name="back" />
            {back.name}
          </a>
        )}
        <h2>{title}</h2>
      </div>
      {children !== undefined && <div class="view-actions">{children}</div>}
    </div>
  );
}

interface ChoiceProps {
  label: string;
  filter: string;
  options: [value: string, text: string][];
}

/** A filter of the view, which the address keeps. */
export function Choice({ label, filter, options }: ChoiceProps): JSX.Element {
  const value = route.value.filters[filter] ?? "";
  return (
    <label class="choice">
      <span>{label}</span>
      <select value={value} onChange={(event) => setFilter(filter, event.currentTarget.value)}>
        {options.map(([one, text]) => (
          <option key={one} value={one}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The filter by account. One that is not among the newest is kept, too. */
export function AccountChoice(): JSX.Element {
  const t = texts.value.operatorConsole;
  const chosen = route.value.filters.account_id ?? "";
  const known = accounts.value.map((one): [string, string] => [one.account_id, one.name]);
  const kept: [string, string][] = known.some(([id]) => id === chosen) || chosen === "" ? [] : [[chosen, chosen]];
  return <Choice label={t.columns.account} filter="account_id" options={[["", t.allAccounts], ...kept, ...known]} />;
}

export function More({ listed }: { listed: Listed<unknown> }): JSX.Element | null {
  if (listed.more === null) return null;
  return (
    <p class="more">
      <button class="outline" type="button" disabled={listed.busy} onClick={listed.more}>
        {listed.busy ? texts.value.operatorConsole.loadingMore : texts.value.operatorConsole.more}
      </button>
    </p>
  );
}

/** When something was, relative to now; the exact time on hover. */
export function When({ time }: { time: string | null }): JSX.Element {
  if (time === null) return <span class="none">–</span>;
  return (
    <time dateTime={time} title={exactly(time)}>
      {ago(time, nowMs.value)}
    </time>
  );
}

export type Tone = "good" | "busy" | "bad" | "calm";

/** A state: a dot of its colour, and its word. */
export function State({ tone, children }: { tone: Tone; children: ComponentChildren }): JSX.Element {
  return (
    <span class="state" data-tone={tone}>
      <i />
      {children}
    </span>
  );
}

export function AccountLink({ account }: { account: OfAccount }): JSX.Element {
  return (
    <a class="plain-link" href={addressOf("accounts", account.account_id)}>
      {account.name}
    </a>
  );
}

/** A figure with its name. */
export function Figure(props: { name: string; note?: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="figure">
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
      {props.note !== undefined && <dd class="note">{props.note}</dd>}
    </div>
  );
}

/** A share of a whole as a bar; `share` 0 to 1. */
export function Meter({ share, label }: { share: number; label: string }): JSX.Element {
  const whole = Math.round(Math.min(1, Math.max(0, share)) * 100);
  return (
    <span
      class="meter"
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={whole}
      data-full={share >= 0.9}
    >
      <i style={{ width: `${whole}%` }} />
    </span>
  );
}
