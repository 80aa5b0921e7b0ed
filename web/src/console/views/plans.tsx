// The plans: what accounts may do. A change holds at once for every account on the plan.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "../../operator/icons";
import { texts } from "../../operator/texts";
import { loadChoices } from "../actions/choices";
import { useLoaded } from "../actions/loading";
import { attempt, tellFailure } from "../actions/tell";
import { FormDialog } from "../parts/form";
import { Empty, Shown } from "../parts/states";
import { Heading } from "../parts/view";
import { api } from "../state/signals";
import { count } from "../state/texts";
import type { Plan } from "../wire/types";

const NEW: Plan = {
  plan: "",
  name: "",
  max_concurrency: null,
  included_minutes: null,
  max_session_minutes: null,
  waives_unwatched: false,
};

export function Plans(): JSX.Element {
  const t = texts.value.operatorConsole.plans;
  const loaded = useLoaded("plans", (server) => server.plans());
  const [edited, setEdited] = useState<Plan | null>(null);
  const saved = (): void => {
    setEdited(null);
    loaded.reload();
    loadChoices().catch(tellFailure);
  };
  return (
    <>
      <Heading title={texts.value.operatorConsole.names.plans}>
        <button class="solid" type="button" onClick={() => setEdited(NEW)}>
          <Icon name="plus" />
          {t.new}
        </button>
      </Heading>
      <Shown loaded={loaded}>
        {(plans) =>
          plans.length === 0 ? (
            <Empty icon="plan" title={t.none}>
              {t.noneYet}
            </Empty>
          ) : (
            <ul class="plan-list">
              {plans.map((plan) => (
                <PlanCard key={plan.plan} plan={plan} edit={() => setEdited(plan)} />
              ))}
            </ul>
          )
        }
      </Shown>
      {edited !== null && <PlanForm plan={edited} saved={saved} close={() => setEdited(null)} />}
    </>
  );
}

function PlanCard({ plan, edit }: { plan: Plan; edit: () => void }): JSX.Element {
  const { unlimited, plans: t } = texts.value.operatorConsole;
  return (
    <li class="card plan-card">
      <div class="plan-head">
        <h3>{plan.name}</h3>
        <code>{plan.plan}</code>
      </div>
      <dl>
        <Limit name={t.atOnce} value={count(plan.max_concurrency)} />
        <Limit name={t.minutes} value={count(plan.included_minutes)} />
        <Limit
          name={t.longest}
          value={plan.max_session_minutes === null ? unlimited : t.inMinutes(plan.max_session_minutes)}
        />
        <Limit name={t.unwatched} value={plan.waives_unwatched ? t.free : t.billed} />
      </dl>
      <button class="outline" type="button" onClick={edit} aria-label={t.changeNamed(plan.name)}>
        {t.change}
      </button>
    </li>
  );
}

function Limit({ name, value }: { name: string; value: string }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

interface PlanFormProps {
  plan: Plan;
  saved: () => void;
  close: () => void;
}

function PlanForm({ plan, saved, close }: PlanFormProps): JSX.Element {
  const { columns, plans: t } = texts.value.operatorConsole;
  const [changed, setChanged] = useState(plan);
  const isNew = plan.plan === "";
  const change = (part: Partial<Plan>): void => setChanged({ ...changed, ...part });
  const save = async (): Promise<void> => {
    const { plan: key, ...limits } = changed;
    const name = limits.name === "" ? key : limits.name;
    if (await attempt(async () => api.value?.setPlan(key, { ...limits, name }), t.saved(name))) saved();
  };
  return (
    <FormDialog title={isNew ? t.new : t.changeTitle(plan.name)} action={t.save} send={save} close={close}>
      {isNew && (
        <label class="choice">
          <span>{columns.key}</span>
          <input
            class="mono"
            required
            pattern="[a-z0-9][a-z0-9_\-]{0,63}"
            title={t.keyHint}
            placeholder="starter"
            value={changed.plan}
            onInput={(event) => change({ plan: event.currentTarget.value })}
          />
        </label>
      )}
      <label class="choice">
        <span>{columns.name}</span>
        <input
          maxLength={100}
          placeholder="Starter"
          value={changed.name}
          onInput={(event) => change({ name: event.currentTarget.value })}
        />
      </label>
      <LimitField
        label={t.atOnce}
        least={0}
        value={changed.max_concurrency}
        change={(value) => change({ max_concurrency: value })}
      />
      <LimitField
        label={t.minutes}
        least={0}
        value={changed.included_minutes}
        change={(value) => change({ included_minutes: value })}
      />
      <LimitField
        label={t.longestMinutes}
        least={1}
        value={changed.max_session_minutes}
        change={(value) => change({ max_session_minutes: value })}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={changed.waives_unwatched}
          onChange={(event) => change({ waives_unwatched: event.currentTarget.checked })}
        />
        {t.waives}
      </label>
      {!isNew && <p class="remark">{t.holdsAtOnce}</p>}
    </FormDialog>
  );
}

interface LimitFieldProps {
  label: string;
  least: number;
  value: number | null;
  change: (value: number | null) => void;
}

function LimitField({ label, least, value, change }: LimitFieldProps): JSX.Element {
  return (
    <label class="choice">
      <span>{label}</span>
      <input
        type="number"
        min={least}
        max={2147483647}
        step={1}
        placeholder={texts.value.operatorConsole.unlimited}
        value={value ?? ""}
        onInput={(event) => {
          const text = event.currentTarget.value;
          change(text === "" ? null : Number(text));
        }}
      />
    </label>
  );
}
