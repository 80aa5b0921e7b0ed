// What was sent to a webhook, and sending it again.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";
import { useLoaded } from "../actions/loading";
import { attempt } from "../actions/tell";
import { Shown } from "../parts/states";
import { Json } from "../parts/json";
import { State, type Tone, When } from "../parts/view";
import { api, nowMs } from "../state/signals";
import { ago, count, exactly, shortId } from "../state/texts";
import type { Delivery } from "../wire/types";

const TONES: Record<Delivery["status"], Tone> = { delivered: "good", pending: "busy", failed: "bad", missed: "bad" };

interface DeliveryProps {
  delivery: Delivery;
  webhookId: string;
  changed: () => void;
}

/** A delivery, with its event and its attempts when it is opened. */
export function DeliveryRow({ delivery, webhookId, changed }: DeliveryProps): JSX.Element {
  const t = texts.value.operatorConsole.webhooks;
  const [open, setOpen] = useState(false);
  const replay = async (): Promise<void> => {
    await attempt(async () => api.value?.replay(webhookId, delivery.delivery_id), t.eventSentAgain);
    changed();
  };
  return (
    <li>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <State tone={TONES[delivery.status]}>{t.statuses[delivery.status]}</State>
          <span class="delivery-type">{delivery.type}</span>
          <span class="none">{delivery.session_id === null ? "" : shortId(delivery.session_id)}</span>
          <span class="spring" />
          <span class="none">{t.attempts(delivery.attempts)}</span>
          <When time={delivery.created_at} />
        </summary>
        {open && (
          <div class="delivery-body">
            <DeliveryDetails webhookId={webhookId} delivery={delivery} />
            <button class="outline" type="button" onClick={() => void replay()}>
              <Icon name="again" />
              {t.sendAgain}
            </button>
          </div>
        )}
      </details>
    </li>
  );
}

function DeliveryDetails({ webhookId, delivery }: { webhookId: string; delivery: Delivery }): JSX.Element {
  const t = texts.value.operatorConsole.webhooks;
  const key = `${delivery.delivery_id} ${delivery.attempts} ${delivery.status}`;
  const loaded = useLoaded(key, (server) => server.delivery(webhookId, delivery.delivery_id));
  return (
    <Shown loaded={loaded}>
      {({ event, attempt_log: attempts, next_attempt_at: next }) => (
        <>
          {attempts.length > 0 && (
            <ul class="plain-list attempts">
              {attempts.map((one) => (
                <li key={one.number}>
                  <span>
                    {one.number}. <time title={exactly(one.at)}>{ago(one.at, nowMs.value)}</time>
                  </span>
                  <span>{one.problem ?? t.answered(one.status_code)}</span>
                  <span class="none">{count(one.duration_ms)} ms</span>
                </li>
              ))}
            </ul>
          )}
          {next !== null && <p class="remark">{t.nextAttempt(ago(next, nowMs.value))}</p>}
          <Json value={event} />
        </>
      )}
    </Shown>
  );
}
