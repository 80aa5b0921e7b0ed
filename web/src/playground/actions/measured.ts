// Keeps the newest values of a measured figure.

import type { Signal } from "@preact/signals";

const MAX_MEASURED = 50;

export function appendMeasured(values: Signal<number[]>, value: number): void {
  values.value = [...values.value, value].slice(-MAX_MEASURED);
}
