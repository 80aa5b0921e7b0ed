// How counts are written in every language.

/** A count with thin spaces between thousands. */
export function grouped(value: number): string {
  return value.toLocaleString("en").replaceAll(",", "\u202f");
}

/** A count and what is counted. */
export function counted(value: number, one: string, many: string): string {
  return `${grouped(value)} ${value === 1 ? one : many}`;
}
