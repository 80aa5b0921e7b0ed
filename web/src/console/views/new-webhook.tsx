// The form of a new webhook. Its secret is shown once, when it is made.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { texts } from "../../operator/texts";
import { attempt, showSecret } from "../actions/tell";
import { FormDialog, NewButton } from "../parts/form";
import { accounts, api } from "../state/signals";
import { EVENTS } from "../wire/events";

interface NewWebhookProps {
  made: () => void;
  accountId: string; // "": the person chooses one
}

/** A button that opens the form of a new webhook. */
export function NewWebhookButton({ made, accountId }: NewWebhookProps): JSX.Element {
  return (
    <NewButton
      label={texts.value.operatorConsole.webhooks.new}
      form={(close) => <NewWebhookForm accountId={accountId} made={made} close={close} />}
    />
  );
}

function NewWebhookForm({ accountId, made, close }: NewWebhookProps & { close: () => void }): JSX.Element {
  const { columns, secret, webhooks: t } = texts.value.operatorConsole;
  const [url, setUrl] = useState("");
  const [owner, setOwner] = useState(accountId);
  const [test, setTest] = useState(false);
  const [events, setEvents] = useState(EVENTS);
  const create = async (): Promise<void> => {
    const chosen = events.length === EVENTS.length ? [] : events; // none: those of later versions, too
    const created = await attempt(async () => {
      const answer = await api.value?.createWebhook({ account_id: owner, test, url, events: chosen });
      if (answer === undefined) return;
      close();
      showSecret({ kind: "secret", title: secret.newWebhook, name: answer.webhook.url, secret: answer.secret });
    }, "");
    if (created) made();
  };
  return (
    <FormDialog title={t.new} action={t.create} ready={events.length > 0} send={create} close={close}>
      <label class="choice">
        <span>{columns.address}</span>
        <input
          type="url"
          value={url}
          required
          maxLength={2048}
          placeholder="https://www.example.com/webhooks"
          onInput={(event) => setUrl(event.currentTarget.value)}
        />
      </label>
      <label class="choice">
        <span>{columns.account}</span>
        <select value={owner} required onChange={(event) => setOwner(event.currentTarget.value)}>
          <option value="">{t.chooseAccount}</option>
          {accounts.value.map((account) => (
            <option key={account.account_id} value={account.account_id}>
              {account.name}
            </option>
          ))}
        </select>
      </label>
      <fieldset class="checks">
        <legend>{t.sent}</legend>
        {EVENTS.map((name) => (
          <label key={name}>
            <input
              type="checkbox"
              checked={events.includes(name)}
              onChange={(event) =>
                setEvents(EVENTS.filter((one) => (one === name ? event.currentTarget.checked : events.includes(one))))
              }
            />
            {name}
          </label>
        ))}
      </fieldset>
      <label class="check">
        <input type="checkbox" checked={test} onChange={(event) => setTest(event.currentTarget.checked)} />
        {t.ofTestKeys}
      </label>
    </FormDialog>
  );
}
