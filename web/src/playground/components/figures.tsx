// The measured figures, below the controls.

import type { JSX } from "preact";
import { median } from "../session/speech-ledger";
import { figures, firstFrameMs, playbackLatenciesMs, soundLatenciesMs } from "../state/signals";

export function Figures(): JSX.Element {
  const { fps, kbps, jitterMs, lostFraction, width, height } = figures.value;
  const stream = [width !== null && `${width}×${height}`, kbps !== null && `${(kbps / 1000).toFixed(1)} Mbit/s`];
  return (
    <dl class="figures" aria-label="Measured figures">
      <Figure
        name="Playback latency"
        value={milliseconds(playbackLatenciesMs.value.at(-1))}
        note={medianNote(playbackLatenciesMs.value)}
        hint="Time from the first sample sent to the event agent.playback.started"
      />
      <Figure
        name="Sound latency"
        value={milliseconds(soundLatenciesMs.value.at(-1))}
        note={medianNote(soundLatenciesMs.value)}
        hint="Time from the first sound sent to the first sound received by this browser"
      />
      <Figure
        name="First picture"
        value={milliseconds(firstFrameMs.value)}
        note={firstFrameMs.value === null ? "" : "after the start"}
        hint="Time from the create request to the first frame on this screen"
      />
      <Figure
        name="Frame rate"
        value={fps === null ? null : [String(Math.round(fps)), "fps"]}
        note={stream.filter(Boolean).join(" · ")}
        hint="Frames decoded in a second, picture size, and bits received in a second"
      />
      <Figure
        name="Jitter"
        value={jitterMs === null ? null : [jitterMs.toFixed(jitterMs < 10 ? 1 : 0), "ms"]}
        note={lostFraction === null ? "" : `${(lostFraction * 100).toFixed(lostFraction > 0 ? 1 : 0)} % lost`}
        hint="Jitter of the video packets, and the share of all packets that were lost"
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
  return middle === null || values.length < 2 ? "" : `median ${Math.round(middle)} of ${values.length}`;
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
