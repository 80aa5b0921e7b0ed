// The webhooks of all accounts, and one of them: its state, its secret, and what was not delivered.

import type { JSX } from "preact";
import { Icon } from "../../operator/icons";
import { Sentence } from "../../operator/sentence";
import { texts } from "../../operator/texts";
import { useListed, useLoaded } from "../actions/loading";
import { ask, attempt, notify, showSecret } from "../actions/tell";
import { Empty, Shown } from "../parts/states";
import { Table } from "../parts/table";
import { AccountChoice, AccountLink, Choice, Heading, More, State, When } from "../parts/view";
import { addressOf } from "../state/route";
import { api, nowMs, route } from "../state/signals";
import { ago, count } from "../state/texts";
import type { Webhook } from "../wire/types";
import { DeliveryRow } from "./deliveries";
import { NewWebhookButton } from "./new-webhook";
import { Fact, Id } from "./session";

const DELIVERIES_EVERY_S = 10;
const OVERLAP_HOURS = 24;

export function Webhooks(): JSX.Element {
  const { names, webhooks: t } = texts.value.operatorConsole;
  const accountId = route.value.filters.account_id ?? "";
  const listed = useListed(
    accountId,
    (server, cursor) => server.webhooks({ account_id: accountId, cursor, limit: "50" }),
    (page) => page.webhooks,
  );
  return (
    <>
      <Heading title={names.webhooks}>
        <NewWebhookButton made={listed.reload} accountId={accountId} />
      </Heading>
      <div class="filter-row">
        <AccountChoice />
      </div>
      <Shown loaded={listed}>
        {(webhooks) =>
          webhooks.length === 0 ? (
            <Empty icon="hook" title={t.none}>
              <Sentence text={t.noneYet} call={<code>POST /v1/webhooks</code>} />
            </Empty>
          ) : (
            <WebhookTable webhooks={webhooks} />
          )
        }
      </Shown>
      <More listed={listed} />
    </>
  );
}

function WebhookTable({ webhooks }: { webhooks: Webhook[] }): JSX.Element {
  const { columns, test, webhooks: t } = texts.value.operatorConsole;
  return (
    <Table caption={t.caption}>
      <thead>
        <tr>
          <th scope="col">{columns.state}</th>
          <th scope="col">{columns.address}</th>
          <th scope="col">{columns.account}</th>
          <th scope="col">{columns.events}</th>
          <th scope="col" class="number">
            {t.notDelivered}
          </th>
          <th scope="col">{columns.created}</th>
        </tr>
      </thead>
      <tbody>
        {webhooks.map((hook) => (
          <tr key={hook.webhook_id}>
            <td>
              <a class="row-link" href={addressOf("webhooks", hook.webhook_id)}>
                <WebhookState hook={hook} />
              </a>
            </td>
            <td class="address mono">{hook.url}</td>
            <td>
              <AccountLink account={hook.account} />
              {hook.test && <span class="tag">{test}</span>}
            </td>
            <td>{hook.events.length === 0 ? t.allEvents : count(hook.events.length)}</td>
            <td class="number" data-bad={hook.undelivered > 0}>
              {count(hook.undelivered)}
            </td>
            <td>
              <When time={hook.created_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function WebhookState({ hook }: { hook: Webhook }): JSX.Element {
  const t = texts.value.operatorConsole.webhooks;
  if (!hook.enabled) {
    const tone = hook.disabled_reason === "client" ? "calm" : "bad";
    return <State tone={tone}>{t.disabled[hook.disabled_reason ?? "client"]}</State>;
  }
  if (hook.failing_since !== null) {
    return <State tone="busy">{t.failingSince(ago(hook.failing_since, nowMs.value))}</State>;
  }
  return <State tone="good">{t.enabled}</State>;
}

export function WebhookView({ webhookId }: { webhookId: string }): JSX.Element {
  const { all, columns, names, webhooks: t } = texts.value.operatorConsole;
  const status = route.value.filters.status ?? "";
  const loaded = useLoaded(webhookId, (server) => server.webhook(webhookId));
  const listed = useListed(
    `${webhookId} ${status}`,
    (server, cursor) => server.deliveries(webhookId, { status, cursor, limit: "50" }),
    (page) => page.deliveries,
    DELIVERIES_EVERY_S,
  );
  const hook = loaded.value;
  const changed = (): void => {
    loaded.reload();
    listed.reload();
  };
  return (
    <>
      <Heading title={t.title} back={{ name: names.webhooks, address: addressOf("webhooks") }}>
        {hook !== null && <Actions hook={hook} changed={changed} />}
      </Heading>
      <Shown loaded={loaded}>{(shown) => <Facts hook={shown} changed={changed} />}</Shown>
      <div class="section-head">
        <h3 class="section-title">{t.deliveries}</h3>
        <Choice
          label={columns.state}
          filter="status"
          options={[
            ["", all],
            ["delivered", t.statuses.delivered],
            ["pending", t.statuses.pending],
            ["failed", t.statuses.failed],
            ["missed", t.statuses.missed],
          ]}
        />
      </div>
      <Shown loaded={listed}>
        {(deliveries) =>
          deliveries.length === 0 ? (
            <Empty icon="send" title={t.noDeliveries}>
              {status === "" ? t.nothingSent : t.noneInState}
            </Empty>
          ) : (
            <ul class="card deliveries">
              {deliveries.map((one) => (
                <DeliveryRow key={one.delivery_id} delivery={one} webhookId={webhookId} changed={changed} />
              ))}
            </ul>
          )
        }
      </Shown>
      <More listed={listed} />
    </>
  );
}

function Actions({ hook, changed }: { hook: Webhook; changed: () => void }): JSX.Element {
  const { secret, webhooks: t } = texts.value.operatorConsole;
  const run = async (work: () => Promise<void>, done: string): Promise<void> => {
    await attempt(work, done);
    changed();
  };
  const { webhook_id: id, enabled } = hook;
  const rotate = (): void =>
    ask({
      title: t.secretQuestion,
      text: t.secretText(OVERLAP_HOURS),
      action: t.newSecret,
      run: async () => {
        const made = await api.value?.rotateWebhookSecret(id, OVERLAP_HOURS);
        if (made === undefined) return;
        showSecret({ kind: "secret", title: secret.newSecret, name: hook.url, secret: made.secret });
      },
    });
  const remove = (): void =>
    ask({
      title: t.deleteQuestion,
      text: t.deleteText,
      action: texts.value.shared.delete,
      run: async () => {
        await api.value?.deleteWebhook(id);
        location.hash = addressOf("webhooks");
        notify(t.deleted);
      },
    });
  return (
    <>
      <button class="quiet danger-text" type="button" onClick={remove}>
        {texts.value.shared.delete}
      </button>
      <button class="outline" type="button" onClick={rotate}>
        {t.newSecret}
      </button>
      <button
        class="outline"
        type="button"
        onClick={() =>
          void run(async () => api.value?.enableWebhook(id, !enabled), enabled ? t.isDisabled : t.isEnabled)
        }
      >
        {enabled ? t.disable : t.enable}
      </button>
      {enabled && (
        <button
          class="outline"
          type="button"
          onClick={() => void run(async () => api.value?.pingWebhook(id), t.testSent)}
        >
          <Icon name="send" />
          {t.sendTest}
        </button>
      )}
    </>
  );
}

function Facts({ hook, changed }: { hook: Webhook; changed: () => void }): JSX.Element {
  const { columns, webhooks: t } = texts.value.operatorConsole;
  const replay = async (): Promise<void> => {
    await attempt(async () => {
      await api.value?.replayUndelivered(hook.webhook_id);
    }, t.sentAgain);
    changed();
  };
  return (
    <>
      {hook.undelivered > 0 && (
        <div class="card failure">
          <div>
            <strong>{t.undelivered(hook.undelivered)}</strong>
            <p>{hook.enabled ? t.wereMissed : t.enableToSend}</p>
          </div>
          {hook.enabled && (
            <button class="outline" type="button" onClick={() => void replay()}>
              <Icon name="again" />
              {t.sendAllAgain}
            </button>
          )}
        </div>
      )}
      <dl class="card facts">
        <Fact name={columns.state}>
          <WebhookState hook={hook} />
        </Fact>
        <Fact name={columns.account}>
          <AccountLink account={hook.account} />
        </Fact>
        <Fact name={t.title}>
          <Id id={hook.webhook_id} />
        </Fact>
        <Fact name={columns.address}>
          <span class="mono whole">{hook.url}</span>
        </Fact>
        <Fact name={columns.events}>{hook.events.length === 0 ? t.allTypes : hook.events.join(", ")}</Fact>
        <Fact name={t.ofKeys}>{hook.test ? t.testKeys : t.liveKeys}</Fact>
      </dl>
    </>
  );
}
