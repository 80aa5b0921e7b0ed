// What this server performs now, and what its stages and their machines have left.

import type { JSX } from "preact";
import { decimal, texts } from "../../operator/texts";
import { useLoaded } from "../actions/loading";
import { Empty, Shown } from "../parts/states";
import { Table } from "../parts/table";
import { Figure, Heading, Meter } from "../parts/view";
import { count, megabytes, percent } from "../state/texts";
import type { Capacity } from "../wire/types";

const EVERY_S = 5;

export function CapacityView(): JSX.Element {
  const loaded = useLoaded("capacity", (server) => server.capacity(), EVERY_S);
  return (
    <>
      <Heading title={texts.value.operatorConsole.names.capacity} />
      <Shown loaded={loaded}>{(now) => <Now now={now} />}</Shown>
    </>
  );
}

function Now({ now }: { now: Capacity }): JSX.Element {
  const { figures, capacity: t } = texts.value.operatorConsole;
  const { capacity, cores } = now;
  const lost = cores.stolen + cores.throttled;
  return (
    <>
      {now.problems.map((problem) => (
        <div key={problem} class="card failure" role="alert">
          <strong>{problem}</strong>
        </div>
      ))}
      <dl class="figures">
        <Figure name={figures.liveSessions} note={t.starting(now.starting)}>
          {count(capacity.sessions)}
        </Figure>
        <Figure name={figures.viewers} note={t.channels(now.channels)}>
          {count(now.viewers)}
        </Figure>
        <Figure name={t.coresInUse} note={t.of(decimal(cores.given, 2))}>
          {decimal(Math.max(0, cores.given - cores.unused), 2)}
          <Meter share={capacity.load} label={t.coresInUse} />
        </Figure>
        <Figure name={t.lostCores} note={t.stolen(decimal(cores.stolen, 2), decimal(cores.throttled, 2))}>
          {decimal(lost, 2)}
        </Figure>
        <Figure name={figures.frames} note={capacity.frame_rate < 25 ? t.overloaded : t.fullRate}>
          {decimal(capacity.frame_rate, 2)}
        </Figure>
      </dl>
      <h3 class="section-title">{figures.freePlaces}</h3>
      <ul class="sizes">
        {capacity.places.map((place) => (
          <li key={`${place.width} ${place.height}`} class="card" data-full={place.free === 0}>
            <strong>{count(place.free)}</strong>
            <span>
              {place.width} × {place.height}
            </span>
          </li>
        ))}
      </ul>
      <p class="remark">{t.shared}</p>
      <h3 class="section-title">{t.stages}</h3>
      {now.stages.length === 0 ? (
        <Empty icon="gauge" title={t.noStages}>
          {t.noStage}
        </Empty>
      ) : (
        <Stages stages={now.stages} />
      )}
    </>
  );
}

function Stages({ stages }: { stages: Capacity["stages"] }): JSX.Element {
  const { names, figures, capacity: t } = texts.value.operatorConsole;
  return (
    <Table caption={t.stages}>
      <thead>
        <tr>
          <th scope="col">{t.machine}</th>
          <th scope="col" class="number">
            {names.sessions}
          </th>
          <th scope="col" class="number">
            {figures.viewers}
          </th>
          <th scope="col" class="number">
            {t.cores}
          </th>
          <th scope="col">{t.loop}</th>
          <th scope="col" class="number">
            {t.memory}
          </th>
          <th scope="col" class="number" title={t.portHint}>
            {t.port}
          </th>
          <th scope="col" class="number" title={t.droppedHint}>
            {t.dropped}
          </th>
        </tr>
      </thead>
      <tbody>
        {stages.map((stage, index) => (
          <tr key={index}>
            <td class="mono">{stage.machine.slice(0, 12)}</td>
            <td class="number">{count(stage.sessions)}</td>
            <td class="number">{count(stage.viewers)}</td>
            <td class="number">{decimal(stage.cores, 2)}</td>
            <td>
              <span class="measured">
                <Meter share={stage.loop_load} label={t.loopMeter} />
                {percent(stage.loop_load)}
              </span>
            </td>
            <td class="number">{megabytes(stage.memory_bytes)}</td>
            <td class="number">{stage.port === 0 ? "–" : stage.port}</td>
            <td class="number" data-bad={stage.dropped > 0}>
              {count(stage.dropped)}
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
