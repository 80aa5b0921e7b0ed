// Small charts of what the server measures while the session runs: the last minute, and the last utterances.

import type { JSX } from "preact";
import { decimal, texts } from "../../operator/texts";
import { KEPT_SECONDS, KEPT_UTTERANCES } from "../session/server-metrics";
import { seconds, utteranceLatenciesMs } from "../state/signals";

const WIDTH = 100; // of a chart, in units of its own; it is as wide as its column
const HEIGHT = 30;
const LEAST_QUEUE_S = 2; // at the top of the chart, so that short speech does not fill it
const LEAST_LATENCY_MS = 200;

export function Charts(): JSX.Element {
  const t = texts.value.playground.charts;
  const rates = seconds.value.map((second) => second.frameRate);
  const queue = seconds.value.map((second) => second.queuedS);
  const latencies = utteranceLatenciesMs.value;
  const wanted = seconds.value.at(-1)?.wantedFrameRate ?? 0;
  const topRate = Math.max(wanted, ...rates, 1) * 1.15;
  const slowest = Math.max(LEAST_LATENCY_MS, ...latencies);
  return (
    <section class="charts" aria-label={t.title}>
      <Chart name={t.frames} value={rates.at(-1)} unit="fps" note={lowest(rates.slice(1))}>
        {wanted > 0 && <path class="wanted" d={`M0 ${y(wanted, topRate)}H${WIDTH}`} />}
        <path class="line" d={line(rates, topRate)} />
      </Chart>
      <Chart name={t.queue} value={queue.at(-1)} unit="s" note={t.lastMinute}>
        <path class="area" d={area(queue, Math.max(LEAST_QUEUE_S, ...queue))} />
      </Chart>
      <Chart name={t.firstFrame} value={latencies.at(-1)} unit="ms" note={longest(latencies)}>
        {latencies.map((latencyMs, index) => (
          <rect class="bar" key={index} {...bar(latencyMs, index, latencies.length, slowest)} />
        ))}
      </Chart>
    </section>
  );
}

interface ChartProps {
  name: string;
  value: number | undefined;
  unit: string;
  note: string;
  children: JSX.Element | (JSX.Element | false)[];
}

function Chart({ name, value, unit, note, children }: ChartProps): JSX.Element {
  const shown = value === undefined ? "–" : `${value < 10 && unit === "s" ? decimal(value, 1, 1) : Math.round(value)}`;
  return (
    <div class="chart">
      <p>
        <span>{name}</span>
        <strong>
          {shown}
          {value !== undefined && <small> {unit}</small>}
        </strong>
      </p>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${name}: ${shown} ${value === undefined ? "" : unit}. ${note}`}
      >
        {children}
      </svg>
      <p class="note">{note || "\u00a0"}</p>
    </div>
  );
}

/** The first second is left out: the viewer joined within it. */
function lowest(rates: number[]): string {
  return rates.length < 2 ? "" : texts.value.playground.charts.atLeast(Math.round(Math.min(...rates)));
}

function longest(latenciesMs: number[]): string {
  return latenciesMs.length < 2
    ? ""
    : texts.value.playground.charts.atMost(Math.round(Math.max(...latenciesMs)), latenciesMs.length);
}

/** The newest second is at the right edge. */
function x(index: number, count: number): number {
  return WIDTH - ((count - 1 - index) * WIDTH) / (KEPT_SECONDS - 1);
}

function y(value: number, top: number): number {
  return HEIGHT - 1 - (value / top) * (HEIGHT - 2);
}

function line(values: number[], top: number): string {
  const points = values.map((value, index) => `${x(index, values.length).toFixed(1)} ${y(value, top).toFixed(1)}`);
  return points.length === 0 ? "" : `M${points.join("L")}`;
}

function area(values: number[], top: number): string {
  if (values.length === 0) return "";
  return `${line(values, top)}V${HEIGHT}H${x(0, values.length).toFixed(1)}Z`;
}

interface Bar {
  x: number;
  y: number;
  width: number;
  height: number;
}

function bar(value: number, index: number, count: number, top: number): Bar {
  const step = WIDTH / KEPT_UTTERANCES;
  const height = HEIGHT - y(value, top);
  return { x: WIDTH - (count - index) * step + step * 0.15, y: HEIGHT - height, width: step * 0.7, height };
}
