// API keys: made, rotated and revoked. A key itself is shown once, when it is made.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { texts } from "../../operator/texts";
import type { Texts } from "../../texts/language";
import { loadChoices } from "../actions/choices";
import { useListed } from "../actions/loading";
import { ask, attempt, notify, showSecret, tellFailure } from "../actions/tell";
import { FormDialog, NewButton } from "../parts/form";
import { Empty, Shown } from "../parts/states";
import { Table } from "../parts/table";
import { AccountChoice, AccountLink, Heading, More, State, type Tone, When } from "../parts/view";
import { accounts, api, nowMs, route } from "../state/signals";
import { ago } from "../state/texts";
import type { Key, NewKey } from "../wire/types";

const OVERLAP_HOURS = 24;
type Scope = keyof Texts["operatorConsole"]["keys"]["scopeTexts"];
const SCOPES: Scope[] = [
  "sessions:write",
  "sessions:read",
  "avatars:write",
  "avatars:read",
  "usage:read",
  "webhooks:write",
  "webhooks:read",
  "admin",
];
const DEFAULT_SCOPES: string[] = SCOPES.filter((scope) => scope !== "admin");

export function Keys(): JSX.Element {
  const t = texts.value.operatorConsole.keys;
  const accountId = route.value.filters.account_id ?? "";
  const listed = useListed(
    accountId,
    (server, cursor) => server.keys({ account_id: accountId, cursor, limit: "50" }),
    (page) => page.keys,
  );
  return (
    <>
      <Heading title={texts.value.operatorConsole.names.keys}>
        <NewKeyButton made={listed.reload} accountId={accountId} label={t.new} />
      </Heading>
      <div class="filter-row">
        <AccountChoice />
      </div>
      <Shown loaded={listed}>
        {(keys) =>
          keys.length === 0 ? (
            <Empty icon="key" title={t.none}>
              {t.noneYet}
            </Empty>
          ) : (
            <KeyTable keys={keys} changed={listed.reload} />
          )
        }
      </Shown>
      <More listed={listed} />
    </>
  );
}

const TONES: Record<Key["state"], Tone> = { active: "good", expired: "calm", revoked: "calm" };

export function KeyTable({ keys, changed }: { keys: Key[]; changed: () => void }): JSX.Element {
  const { columns, test, keys: t } = texts.value.operatorConsole;
  return (
    <Table caption={t.caption}>
      <thead>
        <tr>
          <th scope="col">{columns.name}</th>
          <th scope="col">{columns.account}</th>
          <th scope="col">{t.scopes}</th>
          <th scope="col">{t.lastUsed}</th>
          <th scope="col">{columns.state}</th>
          <th scope="col">
            <span class="visually-hidden">{t.actions}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {keys.map((key) => (
          <tr key={key.key_id} data-over={key.state !== "active"}>
            <td class="two-lines">
              <span>
                {key.name}
                {key.test && <span class="tag">{test}</span>}
              </span>
              <code title={key.key_id}>{key.start}…</code>
            </td>
            <td>
              <AccountLink account={key.account} />
            </td>
            <td class="two-lines">
              <Scopes scopes={key.scopes} />
              {key.sources.length > 0 && <code>{t.from(key.sources.join(", "))}</code>}
            </td>
            <td>{key.last_used_at === null ? t.never : <When time={key.last_used_at} />}</td>
            <td>
              <KeyState shown={key} />
            </td>
            <td class="row-actions">{key.state === "active" && <KeyActions shown={key} changed={changed} />}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function KeyState({ shown }: { shown: Key }): JSX.Element {
  const t = texts.value.operatorConsole.keys;
  if (shown.state === "active" && shown.expires_at !== null) {
    return <State tone="busy">{t.expires(ago(shown.expires_at, nowMs.value))}</State>;
  }
  const time = shown.state === "revoked" ? shown.revoked_at : shown.expires_at;
  return (
    <State tone={TONES[shown.state]}>
      {shown.state === "active" ? t.active : `${t[shown.state]} `}
      {shown.state !== "active" && <When time={time} />}
    </State>
  );
}

function Scopes({ scopes }: { scopes: string[] }): JSX.Element {
  const isDefault = DEFAULT_SCOPES.every((scope) => scopes.includes(scope)) && !scopes.includes("admin");
  if (isDefault) return <span title={scopes.join(", ")}>{texts.value.operatorConsole.keys.allButAdmin}</span>;
  return (
    <span class="tags" title={scopes.join(", ")}>
      {scopes.slice(0, 2).map((scope) => (
        <span key={scope} class="tag" data-strong={scope === "admin"}>
          {scope}
        </span>
      ))}
      {scopes.length > 2 && <span class="tag">+{scopes.length - 2}</span>}
    </span>
  );
}

function KeyActions({ shown, changed }: { shown: Key; changed: () => void }): JSX.Element {
  const { secret, keys: t } = texts.value.operatorConsole;
  const isOwn = api.value?.signIn.keyHint === `${shown.start}…`;
  const rotate = (): void =>
    ask({
      title: t.replaceQuestion(shown.name),
      text: t.replaceText(OVERLAP_HOURS),
      action: t.replace,
      run: async () => {
        const made = await api.value?.rotateKey(shown.key_id, OVERLAP_HOURS);
        if (made !== undefined)
          showSecret({ kind: "key", title: secret.newKey, name: made.key.name, secret: made.secret });
        changed();
      },
    });
  const revoke = (): void =>
    ask({
      title: t.revokeQuestion(shown.name),
      text: isOwn ? t.revokeOwn : t.revokeText,
      action: t.revoke,
      run: async () => {
        await api.value?.revokeKey(shown.key_id);
        notify(t.isRevoked(shown.name));
        changed();
      },
    });
  return (
    <>
      <button class="quiet" type="button" onClick={rotate} aria-label={t.replaceNamed(shown.name)}>
        {t.replace}
      </button>
      <button class="quiet danger-text" type="button" onClick={revoke} aria-label={t.revokeNamed(shown.name)}>
        {t.revoke}
      </button>
    </>
  );
}

interface NewKeyProps {
  made: () => void;
  label: string;
  accountId?: string;
}

/** A button that opens the form of a new key. */
export function NewKeyButton({ made, label, accountId = "" }: NewKeyProps): JSX.Element {
  return (
    <NewButton
      label={label}
      form={(close) => <NewKeyForm title={label} accountId={accountId} made={made} close={close} />}
    />
  );
}

interface NewKeyFormProps {
  title: string;
  accountId: string;
  made: () => void;
  close: () => void;
}

function NewKeyForm({ title, accountId, made, close }: NewKeyFormProps): JSX.Element {
  const { columns, secret, keys: t } = texts.value.operatorConsole;
  const [name, setName] = useState("");
  const [owner, setOwner] = useState(accountId);
  const [test, setTest] = useState(false);
  const [days, setDays] = useState("");
  const [scopes, setScopes] = useState(DEFAULT_SCOPES);
  const create = async (): Promise<void> => {
    const wanted: NewKey = { name, test, scopes };
    if (owner !== "") wanted.account_id = owner;
    if (days !== "") wanted.days = Number(days);
    const created = await attempt(async () => {
      const answer = await api.value?.createKey(wanted);
      if (answer === undefined) return;
      close();
      showSecret({ kind: "key", title: secret.newKey, name: answer.key.name, secret: answer.secret });
    }, "");
    if (!created) return;
    made();
    loadChoices().catch(tellFailure);
  };
  return (
    <FormDialog title={title} action={t.create} ready={scopes.length > 0} send={create} close={close}>
      <label class="choice">
        <span>{columns.name}</span>
        <input
          value={name}
          required
          maxLength={100}
          placeholder={t.nameHint}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <label class="choice">
        <span>{columns.account}</span>
        <select value={owner} onChange={(event) => setOwner(event.currentTarget.value)}>
          <option value="">{t.newAccount}</option>
          {accounts.value.map((account) => (
            <option key={account.account_id} value={account.account_id}>
              {account.name}
            </option>
          ))}
        </select>
      </label>
      <fieldset class="checks">
        <legend>{t.mayDo}</legend>
        {SCOPES.map((scope) => (
          <label key={scope}>
            <input
              type="checkbox"
              checked={scopes.includes(scope)}
              onChange={(event) =>
                setScopes(event.currentTarget.checked ? [...scopes, scope] : scopes.filter((other) => other !== scope))
              }
            />
            {t.scopeTexts[scope]}
          </label>
        ))}
      </fieldset>
      <div class="inline-form">
        <label class="choice">
          <span>{t.days}</span>
          <input
            type="number"
            min={1}
            max={36500}
            placeholder={t.untilRevoked}
            value={days}
            onInput={(event) => setDays(event.currentTarget.value)}
          />
        </label>
        <label class="check">
          <input type="checkbox" checked={test} onChange={(event) => setTest(event.currentTarget.checked)} />
          {t.testKey}
        </label>
      </div>
    </FormDialog>
  );
}
