// One session: its bill, what it has played, its latencies, and who has done what to it.

import type { ComponentChildren, JSX } from "preact";
import { ApiError } from "../../operator/answers";
import { Icon } from "../../operator/icons";
import { decimal, texts } from "../../operator/texts";
import { useLoaded } from "../actions/loading";
import { ask, notify } from "../actions/tell";
import { CopyButton } from "../parts/copy-button";
import { Shown } from "../parts/states";
import { Json } from "../parts/json";
import { AccountLink, Figure, Heading, When } from "../parts/view";
import { addressOf } from "../state/route";
import { api, nowMs } from "../state/signals";
import { count, duration, shortId } from "../state/texts";
import type { AdminApi } from "../wire/api";
import type { Metrics, Session } from "../wire/types";
import { AuditTable } from "./audit";
import { lastedS, SessionState } from "./sessions";

const EVERY_S = 5;

interface Seen {
  session: Session;
  metrics: Metrics | null; // null: none are kept
}

export function SessionView({ sessionId }: { sessionId: string }): JSX.Element {
  const { names, session: t } = texts.value.operatorConsole;
  const loaded = useLoaded(sessionId, (server) => load(server, sessionId), EVERY_S);
  const log = useLoaded(`${sessionId} ${loaded.value?.session.status}`, (server) =>
    server.audit({ subject_id: sessionId }),
  );
  const session = loaded.value?.session;
  return (
    <>
      <Heading title={session?.avatar.name ?? t.title} back={{ name: names.sessions, address: addressOf("sessions") }}>
        {session?.status === "started" && (
          <button class="outline danger-text" type="button" onClick={() => askToEnd(session, loaded.reload)}>
            <Icon name="end" />
            {t.end}
          </button>
        )}
      </Heading>
      <Shown loaded={loaded}>{(seen) => <Details {...seen} />}</Shown>
      {log.value !== null && log.value.entries.length > 0 && (
        <>
          <h3 class="section-title">{names.audit}</h3>
          <AuditTable entries={log.value.entries} />
        </>
      )}
    </>
  );
}

async function load(server: AdminApi, sessionId: string): Promise<Seen> {
  const session = await server.session(sessionId);
  if (session.status === "created") return { session, metrics: null };
  try {
    return { session, metrics: await server.metrics(sessionId) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return { session, metrics: null };
    throw error;
  }
}

function askToEnd(session: Session, reload: () => void): void {
  const t = texts.value.operatorConsole.session;
  ask({
    title: t.endQuestion,
    text: t.endText(session.avatar.name, session.account.name, session.viewers),
    action: t.end,
    run: async () => {
      await api.value?.endSession(session.session_id);
      notify(t.hasEnded);
      reload();
    },
  });
}

function Details({ session, metrics }: Seen): JSX.Element {
  const { columns, figures, sessions, session: t } = texts.value.operatorConsole;
  const { usage, played } = session;
  const bought = usage.purchased_minutes > 0 ? t.purchased(usage.purchased_minutes) : "";
  return (
    <>
      <dl class="figures">
        <Figure name={sessions.lasted}>{duration(lastedS(session, nowMs.value))}</Figure>
        <Figure name={sessions.seen}>{duration(usage.seen_seconds)}</Figure>
        <Figure name={sessions.billed} note={session.test ? t.free : bought}>
          {count(usage.minutes)} <small>{t.minutes}</small>
        </Figure>
        <Figure name={t.speechPlayed} note={t.utterances(played.utterances, played.interrupted)}>
          {duration(played.seconds)}
        </Figure>
        <Figure name={figures.viewers} note={t.haveJoined(played.viewers)}>
          {session.viewers}
        </Figure>
      </dl>
      <dl class="card facts">
        <Fact name={columns.state}>
          <SessionState session={session} />
        </Fact>
        <Fact name={columns.account}>
          <AccountLink account={session.account} />
        </Fact>
        <Fact name={t.title}>
          <Id id={session.session_id} />
        </Fact>
        <Fact name={columns.key}>
          <Id id={session.key_id} />
        </Fact>
        <Fact name={t.room}>{session.dialect === "hosted" ? t.hostedRoom : t.ownRoom}</Fact>
        <Fact name={t.channel}>{session.channel ? t.open : t.closed}</Fact>
        <Fact name={columns.created}>
          <When time={session.created_at} />
        </Fact>
        <Fact name={columns.started}>
          <When time={session.started_at} />
        </Fact>
        <Fact name={session.ended_at === null ? t.endsAt : columns.ended}>
          <When time={session.ended_at ?? session.expiration} />
        </Fact>
      </dl>
      {metrics !== null && <Measured metrics={metrics} />}
      {Object.keys(session.metadata).length > 0 && (
        <>
          <h3 class="section-title">{t.metadata}</h3>
          <Json value={session.metadata} framed />
        </>
      )}
    </>
  );
}

function Measured({ metrics }: { metrics: Metrics }): JSX.Element {
  const { figures, session: t } = texts.value.operatorConsole;
  const { frames, latency_ms, interrupts, viewers, speech } = metrics;
  return (
    <>
      <h3 class="section-title">{t.measured}</h3>
      <dl class="figures">
        <Figure name={figures.frames} note={t.leftOut(frames.late)}>
          {decimal(frames.rate, 2)} <small>{t.of(decimal(frames.wanted_rate, 2))}</small>
        </Figure>
        <Figure name={t.firstFrame} note={t.median}>
          <Milliseconds value={latency_ms.frame.p50} />
        </Figure>
        <Figure name={t.firstFrame} note={t.most}>
          <Milliseconds value={latency_ms.frame.p95} />
        </Figure>
        <Figure name={t.silence} note={t.interrupts(interrupts.count)}>
          <Milliseconds value={interrupts.silent_ms.p50} />
        </Figure>
        <Figure
          name={t.roundTrip}
          note={viewers.lost_share === null ? t.noReports : t.lost(decimal(viewers.lost_share * 100, 1))}
        >
          <Milliseconds value={viewers.round_trip_ms} />
        </Figure>
      </dl>
      {speech.queued_s > 0 && <p class="remark">{t.queued(duration(speech.queued_s))}</p>}
    </>
  );
}

function Milliseconds({ value }: { value: number | null }): JSX.Element {
  if (value === null) return <span class="none">–</span>;
  return (
    <>
      {Math.round(value)} <small>ms</small>
    </>
  );
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function Id({ id }: { id: string }): JSX.Element {
  return (
    <span class="id">
      <code title={id}>{shortId(id)}</code>
      <CopyButton label={texts.value.operatorConsole.copy(id)} text={id} />
    </span>
  );
}
