// The measured figures, below the controls.

import type { JSX } from "preact";
import { decimal, texts } from "../../operator/texts";
import { median } from "../session/speech-ledger";
import { figures, firstFrameMs, playbackLatenciesMs, soundLatenciesMs } from "../state/signals";

export function Figures(): JSX.Element {
  const t = texts.value.playground.figures;
  const { fps, kbps, jitterMs, lostFraction, width, height } = figures.value;
  const stream = [width !== null && `${width}×${height}`, kbps !== null && `${decimal(kbps / 1000, 1, 1)} Mbit/s`];
  return (
    <dl class="figures" aria-label={t.title}>
      <Figure
        name={t.playback}
        value={milliseconds(playbackLatenciesMs.value.at(-1))}
        note={medianNote(playbackLatenciesMs.value)}
        hint={t.playbackHint}
      />
      <Figure
        name={t.sound}
        value={milliseconds(soundLatenciesMs.value.at(-1))}
        note={medianNote(soundLatenciesMs.value)}
        hint={t.soundHint}
      />
      <Figure
        name={t.picture}
        value={milliseconds(firstFrameMs.value)}
        note={firstFrameMs.value === null ? "" : t.pictureNote}
        hint={t.pictureHint}
      />
      <Figure
        name={t.frameRate}
        value={fps === null ? null : [String(Math.round(fps)), "fps"]}
        note={stream.filter(Boolean).join(" · ")}
        hint={t.frameRateHint}
      />
      <Figure
        name={t.jitter}
        value={jitterMs === null ? null : [decimal(jitterMs, jitterMs < 10 ? 1 : 0), "ms"]}
        note={lostFraction === null ? "" : t.lost(decimal(lostFraction * 100, 1))}
        hint={t.jitterHint}
      />
    </dl>
  );
}

type Value = [figure: string, unit: string] | null;

function milliseconds(value: number | null | undefined): Value {
  return value === null || value === undefined ? null : [Math.round(value).toString(), "ms"];
}

function medianNote(values: number[]): string {
  const middle = median(values);
  return middle === null || values.length < 2
    ? ""
    : texts.value.playground.figures.median(Math.round(middle), values.length);
}

interface FigureProps {
  name: string;
  value: Value;
  note: string;
  hint: string;
}

function Figure({ name, value, note, hint }: FigureProps): JSX.Element {
  return (
    <div class="figure" title={hint}>
      <dt>{name}</dt>
      <dd>
        {value === null ? <span class="none">–</span> : value[0]}
        {value !== null && <small> {value[1]}</small>}
      </dd>
      <dd class="note">{note || "\u00a0"}</dd>
    </div>
  );
}
