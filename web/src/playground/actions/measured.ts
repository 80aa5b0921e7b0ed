// Keeps the newest values of a measured figure.

import type { Signal } from "@preact/signals";

const MAX_MEASURED = 50;

export function appendMeasured<Value>(values: Signal<Value[]>, value: Value, kept: number = MAX_MEASURED): void {
  values.value = [...values.value, value].slice(-kept);
}
