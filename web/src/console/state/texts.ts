// How the console writes times, durations, figures and reasons.

import { language, texts } from "../../operator/texts";
import { grouped } from "../../texts/counting";

const RELATIVE: [seconds: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [60, "second"],
  [3_600, "minute"],
  [86_400, "hour"],
  [30 * 86_400, "day"],
  [365 * 86_400, "month"],
  [Infinity, "year"],
];
const UNIT_S: Partial<Record<Intl.RelativeTimeFormatUnit, number>> = {
  second: 1,
  minute: 60,
  hour: 3_600,
  day: 86_400,
  month: 30 * 86_400,
  year: 365 * 86_400,
};

/** How long ago, or how soon: "3 min. ago", "in 2 hr.". */
export function ago(time: string, nowMs: number): string {
  const seconds = (Date.parse(time) - nowMs) / 1000;
  if (Math.abs(seconds) < 5) return texts.value.operatorConsole.now;
  const unit = RELATIVE.find(([below]) => Math.abs(seconds) < below)?.[1] ?? "year";
  const relative = new Intl.RelativeTimeFormat(language.value, { numeric: "auto", style: "short" });
  return relative.format(Math.round(seconds / (UNIT_S[unit] ?? 1)), unit);
}

/** The time itself, in the zone of the browser. */
export function exactly(time: string): string {
  return new Date(time).toLocaleString(language.value, { dateStyle: "medium", timeStyle: "medium" });
}

/** A duration: "7 s", "2:05", "1:02:05". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A count with thin spaces between thousands; "unlimited" for null. */
export function count(value: number | null): string {
  return value === null ? texts.value.operatorConsole.unlimited : grouped(value);
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

export function megabytes(bytes: number): string {
  return `${count(Math.round(bytes / 1e6))} MB`;
}

/** An id, shortened in its middle. */
export function shortId(id: string): string {
  const [kind, rest] = id.split("_", 2);
  return rest === undefined || rest.length < 14 ? id : `${kind}_…${rest.slice(-6)}`;
}

/** Reasons that are a fault of the server's. */
const FAULTS = new Set(["performer_lost", "server_died", "room_lost"]);

export function allReasons(): string[] {
  return Object.keys(texts.value.operatorConsole.reasons);
}

export function reasonText(reason: string): string {
  const { reasons } = texts.value.operatorConsole;
  return reason in reasons ? reasons[reason as keyof typeof reasons] : reason.replaceAll("_", " ");
}

export function isFault(reason: string | null): boolean {
  return reason !== null && FAULTS.has(reason);
}

/** "key.rotated" as "Key rotated". */
export function actionText(action: string): string {
  const { actions } = texts.value.operatorConsole.audit;
  return action in actions ? actions[action as keyof typeof actions] : action.replaceAll(/[._]/g, " ");
}
