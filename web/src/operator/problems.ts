// Texts for a person about any failed request: what happened, then what to do about it.

import { ApiError, NOT_THE_SERVER } from "./answers";
import { texts } from "./texts";

export interface Problem {
  title: string;
  detail: string;
  retryAfterS: number | null; // null where another attempt cannot help
}

/** Describe any failed request. */
export function problemOf(error: unknown): Problem {
  const t = texts.value.shared.problems;
  if (!(error instanceof ApiError)) {
    return { title: t.pageFailed, detail: String(error), retryAfterS: null };
  }
  const { status, code, message, suggestion, retryAfterS } = error;
  if (status === 0) return { ...t.unreachable, retryAfterS: 3 };
  if (code === "NO_CAPACITY") return { ...t.full, retryAfterS: retryAfterS ?? 5 };
  if (code === "CONCURRENCY_LIMIT_REACHED") return { ...t.concurrency, retryAfterS: null };
  if (code === "INSUFFICIENT_MINUTES") return { ...t.minutes, retryAfterS: null };
  if (status === 429 && code !== NOT_THE_SERVER) return { ...t.requests, retryAfterS: retryAfterS ?? 20 };
  return { title: message, detail: suggestion, retryAfterS: status >= 500 ? (retryAfterS ?? 5) : null };
}
