// What was measured, in this session and in this browser.

import type { JSX } from "preact";
import { median } from "../speech-ledger";
import { firstFrameMs, picture, toHeardMs, toStartedMs } from "../state";

export function Figures(): JSX.Element {
  const { fps, kbps, jitterMs, lostPart, width, height } = picture.value;
  return (
    <dl class="figures" aria-label="Measured">
      <Figure name="Playing after" value={ms(toStartedMs.value.at(-1))} note={spread(toStartedMs.value)} hint="From the first sample sent to agent.playback.started" />
      <Figure name="Heard after" value={ms(toHeardMs.value.at(-1))} note={spread(toHeardMs.value)} hint="From the first sound sent to the first sound received in this browser" />
      <Figure name="Picture after" value={ms(firstFrameMs.value ?? undefined)} note={firstFrameMs.value === null ? "" : "from the start"} hint="From the create request to the first frame on this screen" />
      <Figure
        name="Frames"
        value={fps === null ? null : [String(Math.round(fps)), "fps"]}
        note={[kbps !== null && `${Math.round(kbps)} kbit/s`, width !== null && `${width}×${height}`].filter(Boolean).join(" · ")}
        hint="Frames decoded a second, size, and bits received"
      />
      <Figure
        name="Jitter"
        value={jitterMs === null ? null : [jitterMs.toFixed(jitterMs < 10 ? 1 : 0), "ms"]}
        note={lostPart === null ? "" : `${(lostPart * 100).toFixed(lostPart > 0 ? 1 : 0)} % lost`}
        hint="Of the picture's packets; and the part of all packets that was lost"
      />
    </dl>
  );
}

type Value = [figure: string, unit: string] | null;

function ms(value: number | undefined): Value {
  return value === undefined ? null : [Math.round(value).toString(), "ms"];
}

function spread(values: number[]): string {
  const middle = median(values);
  return middle === null || values.length < 2 ? "" : `median ${Math.round(middle)} of ${values.length}`;
}

function Figure({ name, value, note, hint }: { name: string; value: Value; note: string; hint: string }): JSX.Element {
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
