// The accounts, and one of them: its plan, its minutes, its keys.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";
import { useListed, useLoaded } from "../actions/loading";
import { attempt } from "../actions/tell";
import { Empty, Shown } from "../parts/states";
import { Table } from "../parts/table";
import { Figure, Heading, Meter, More, When } from "../parts/view";
import { addressOf } from "../state/route";
import { api, plans } from "../state/signals";
import { count } from "../state/texts";
import type { Account, AccountUsage, Purchase } from "../wire/types";
import { KeyTable, NewKeyButton } from "./keys";
import { Id } from "./session";

export function Accounts(): JSX.Element {
  const { columns, names, accounts: t } = texts.value.operatorConsole;
  const listed = useListed(
    "accounts",
    (server, cursor) => server.accounts({ cursor, limit: "50" }),
    (page) => page.accounts,
  );
  return (
    <>
      <Heading title={names.accounts}>
        <NewKeyButton made={listed.reload} label={t.new} />
      </Heading>
      <Shown loaded={listed}>
        {(accounts) =>
          accounts.length === 0 ? (
            <Empty icon="people" title={t.none}>
              {t.noneYet}
            </Empty>
          ) : (
            <Table caption={t.caption}>
              <thead>
                <tr>
                  <th scope="col">{columns.name}</th>
                  <th scope="col">{columns.plan}</th>
                  <th scope="col">{columns.created}</th>
                  <th scope="col">{columns.id}</th>
                </tr>
              </thead>
              <tbody>
                {accounts.map((account) => (
                  <tr key={account.account_id}>
                    <td>
                      <a class="row-link" href={addressOf("accounts", account.account_id)}>
                        {account.name}
                      </a>
                    </td>
                    <td>
                      <span class="tags">
                        <span class="tag">{account.plan}</span>
                      </span>
                    </td>
                    <td>
                      <When time={account.created_at} />
                    </td>
                    <td>
                      <Id id={account.account_id} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </Table>
          )
        }
      </Shown>
      <More listed={listed} />
    </>
  );
}

export function AccountView({ accountId }: { accountId: string }): JSX.Element {
  const { names, accounts: t, keys: ofKeys } = texts.value.operatorConsole;
  const loaded = useLoaded(accountId, async (server) => {
    const [shown, purchases] = await Promise.all([server.account(accountId), server.purchases(accountId)]);
    return { ...shown, purchases };
  });
  const keys = useListed(
    accountId,
    (server, cursor) => server.keys({ account_id: accountId, cursor }),
    (page) => page.keys,
  );
  return (
    <>
      <Heading
        title={loaded.value?.account.name ?? t.title}
        back={{ name: names.accounts, address: addressOf("accounts") }}
      >
        <a class="outline" href={addressOf("sessions", "", { account_id: accountId })}>
          <Icon name="live" />
          {t.itsSessions}
        </a>
      </Heading>
      <Shown loaded={loaded}>
        {({ account, usage, purchases }) => (
          <>
            <Minutes usage={usage} />
            <div class="halves">
              <PlanOf account={account} changed={loaded.reload} />
              <Purchases account={account} purchases={purchases} changed={loaded.reload} />
            </div>
          </>
        )}
      </Shown>
      <div class="section-head">
        <h3 class="section-title">{names.keys}</h3>
        <NewKeyButton made={keys.reload} accountId={accountId} label={ofKeys.new} />
      </div>
      <Shown loaded={keys}>
        {(found) =>
          found.length === 0 ? (
            <Empty icon="key" title={ofKeys.none}>
              {ofKeys.noneYet}
            </Empty>
          ) : (
            <KeyTable keys={found} changed={keys.reload} />
          )
        }
      </Shown>
      <More listed={keys} />
    </>
  );
}

function Minutes({ usage }: { usage: AccountUsage }): JSX.Element {
  const { figures, unlimited, accounts: t } = texts.value.operatorConsole;
  const { included_minutes: included, purchased_minutes: purchased, concurrency } = usage;
  return (
    <dl class="figures">
      <Figure name={t.included} note={included.total === null ? unlimited : t.ofMinutes(included.total)}>
        {count(included.used)} <small>{t.used}</small>
        {included.total !== null && included.total > 0 && (
          <Meter share={included.used / included.total} label={t.usedMeter} />
        )}
      </Figure>
      <Figure name={t.purchased} note={t.ofMinutes(purchased.total)}>
        {count(purchased.remaining)} <small>{t.left}</small>
      </Figure>
      <Figure name={t.leftInAll}>{count(usage.total_remaining)}</Figure>
      <Figure name={figures.liveSessions} note={concurrency.max === null ? t.noLimit : t.atOnce(concurrency.max)}>
        {count(concurrency.current)}
      </Figure>
    </dl>
  );
}

function PlanOf({ account, changed }: { account: Account; changed: () => void }): JSX.Element {
  const { columns, accounts: t } = texts.value.operatorConsole;
  const assign = async (plan: string): Promise<void> => {
    await attempt(async () => api.value?.assignPlan(account.account_id, plan), t.planAssigned(account.name, plan));
    changed();
  };
  return (
    <section class="card form-card">
      <h3>{columns.plan}</h3>
      <label class="choice">
        <span>{t.holdsAtOnce}</span>
        <select value={account.plan} onChange={(event) => void assign(event.currentTarget.value)}>
          {plans.value.some((plan) => plan.plan === account.plan) ? null : <option>{account.plan}</option>}
          {plans.value.map((plan) => (
            <option key={plan.plan} value={plan.plan}>
              {plan.name}
            </option>
          ))}
        </select>
      </label>
      <p class="remark">
        <a href={addressOf("plans")}>{t.changePlans}</a>
      </p>
    </section>
  );
}

interface PurchasesProps {
  account: Account;
  purchases: Purchase[];
  changed: () => void;
}

function Purchases({ account, purchases, changed }: PurchasesProps): JSX.Element {
  const t = texts.value.operatorConsole.accounts;
  const [minutes, setMinutes] = useState("");
  const add = async (): Promise<void> => {
    const whole = Number(minutes);
    if (!(await attempt(async () => api.value?.credit(account.account_id, whole), t.added(whole)))) return;
    setMinutes("");
    changed();
  };
  return (
    <section class="card form-card">
      <h3>{t.purchasedMinutes}</h3>
      <form
        class="inline-form"
        onSubmit={(event) => {
          event.preventDefault();
          void add();
        }}
      >
        <label class="choice">
          <span>{t.minutes}</span>
          <input
            type="number"
            min={1}
            max={2147483647}
            step={1}
            required
            value={minutes}
            onInput={(event) => setMinutes(event.currentTarget.value)}
          />
        </label>
        <button class="outline" type="submit">
          <Icon name="plus" />
          {t.add}
        </button>
      </form>
      {purchases.length === 0 ? (
        <p class="remark">{t.noPurchases}</p>
      ) : (
        <ul class="plain-list">
          {purchases.map((one) => (
            <li key={one.purchase_id}>
              <span>{t.purchaseLeft(one.minutes - one.used, one.minutes)}</span>
              <When time={one.created_at} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
