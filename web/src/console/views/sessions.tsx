// All sessions, live and past: those that run on top, with what the server performs now.

import type { JSX } from "preact";
import { decimal, texts } from "../../operator/texts";
import { useListed, useLoaded } from "../actions/loading";
import { Empty, Shown } from "../parts/states";
import { Table } from "../parts/table";
import { AccountChoice, AccountLink, Choice, Figure, Heading, More, State, type Tone, When } from "../parts/view";
import { addressOf } from "../state/route";
import { nowMs, route } from "../state/signals";
import { allReasons, count, duration, isFault, percent, reasonText } from "../state/texts";
import type { Session } from "../wire/types";

const LIVE_EVERY_S = 5; // with the figures: 16 of the 60 requests that a key may make in a minute
const FIGURES_EVERY_S = 15;
const PAGE = "50";

export function Sessions(): JSX.Element {
  const { all, columns, names, sessions: t } = texts.value.operatorConsole;
  const states: [string, string][] = [
    ["", all],
    ["started", t.live],
    ["created", t.waiting],
    ["ended", t.ended],
  ];
  const { status = "", account_id = "", reason = "" } = route.value.filters;
  const listed = useListed(
    `${status} ${account_id} ${reason}`,
    (server, cursor) => server.sessions({ status, account_id, reason, cursor, limit: PAGE }),
    (page) => page.sessions,
    LIVE_EVERY_S,
  );
  return (
    <>
      <Heading title={names.sessions} />
      <Now />
      <div class="filter-row">
        <Choice label={columns.state} filter="status" options={states} />
        <AccountChoice />
        <Choice
          label={t.reason}
          filter="reason"
          options={[["", t.anyReason], ...allReasons().map((one): [string, string] => [one, reasonText(one)])]}
        />
      </div>
      <Shown loaded={listed}>
        {(sessions) =>
          sessions.length === 0 ? (
            <Empty icon="live" title={t.none}>
              {status + account_id + reason === "" ? t.noneYet : t.noMatch}
            </Empty>
          ) : (
            <SessionTable sessions={sessions} />
          )
        }
      </Shown>
      <More listed={listed} />
    </>
  );
}

function Now(): JSX.Element {
  const t = texts.value.operatorConsole.figures;
  const { value: now } = useLoaded("now", (server) => server.capacity(), FIGURES_EVERY_S);
  const free = now === null ? null : Math.max(0, ...now.capacity.places.map((place) => place.free));
  return (
    <dl class="figures">
      <Figure name={t.liveSessions}>{now === null ? "–" : count(now.capacity.sessions)}</Figure>
      <Figure name={t.viewers}>{now === null ? "–" : count(now.viewers)}</Figure>
      <Figure name={t.freePlaces}>{free === null ? "–" : count(free)}</Figure>
      <Figure name={t.load}>{now === null ? "–" : percent(now.capacity.load)}</Figure>
      <Figure name={t.frames}>{now === null ? "–" : decimal(now.capacity.frame_rate, 2)}</Figure>
    </dl>
  );
}

function SessionTable({ sessions }: { sessions: Session[] }): JSX.Element {
  const { columns, figures, test, sessions: t } = texts.value.operatorConsole;
  return (
    <Table caption={t.caption}>
      <thead>
        <tr>
          <th scope="col">{columns.state}</th>
          <th scope="col">{columns.avatar}</th>
          <th scope="col">{columns.account}</th>
          <th scope="col">{columns.created}</th>
          <th scope="col" class="number">
            {t.lasted}
          </th>
          <th scope="col" class="number" title={t.seenHint}>
            {t.seen}
          </th>
          <th scope="col" class="number" title={t.playedHint}>
            {t.played}
          </th>
          <th scope="col" class="number" title={t.viewersHint}>
            {figures.viewers}
          </th>
          <th scope="col" class="number" title={t.billedHint}>
            {t.billed}
          </th>
        </tr>
      </thead>
      <tbody>
        {sessions.map((session) => (
          <tr key={session.session_id}>
            <td>
              <a class="row-link" href={addressOf("sessions", session.session_id)}>
                <SessionState session={session} />
              </a>
            </td>
            <td>
              {session.avatar.name}
              {session.test && <span class="tag">{test}</span>}
            </td>
            <td>
              <AccountLink account={session.account} />
            </td>
            <td>
              <When time={session.created_at} />
            </td>
            <td class="number">{session.started_at === null ? "–" : duration(lastedS(session, nowMs.value))}</td>
            <td class="number">{session.started_at === null ? "–" : duration(session.usage.seen_seconds)}</td>
            <td class="number">{session.played.utterances === 0 ? "–" : duration(session.played.seconds)}</td>
            <td class="number">{session.status === "started" ? session.viewers : session.played.viewers}</td>
            <td class="number">{session.usage.minutes}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** How long a session has lasted; one that runs counts on between two answers. */
export function lastedS(session: Session, nowAtMs: number): number {
  if (session.status !== "started" || session.started_at === null) return session.usage.seconds;
  return Math.max(session.usage.seconds, (nowAtMs - Date.parse(session.started_at)) / 1000);
}

export function SessionState({ session }: { session: Session }): JSX.Element {
  const t = texts.value.operatorConsole.sessions;
  const tones: Record<Session["status"], Tone> = { created: "busy", started: "good", ended: "calm" };
  if (session.status === "ended") {
    const reason = session.reason ?? "";
    return <State tone={isFault(session.reason) ? "bad" : tones.ended}>{reasonText(reason)}</State>;
  }
  return <State tone={tones[session.status]}>{session.status === "started" ? t.live : t.waiting}</State>;
}
