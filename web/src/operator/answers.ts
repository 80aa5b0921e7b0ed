// The server's answers, read: their JSON, and what a refusal says.

import { texts } from "./texts";

/**
 * A request that failed. `status` is the HTTP status, or 0 if the server did not answer. `message` and `suggestion` are
 * the server's texts.
 */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly suggestion: string,
    readonly retryAfterS: number | null,
  ) {
    super(message);
  }
}

export function unreachable(): ApiError {
  return new ApiError(0, "UNREACHABLE", texts.value.shared.problems.unreachable.title, "", null);
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // for example a proxy's HTML page: `errorOf` then goes by the status
  }
}

/** The code of an answer that the server did not write, for example a proxy's HTML page. */
export const NOT_THE_SERVER = "NOT_THE_SERVER";

// What an answer means that is not the server's own, by its status.
const PROXY_ANSWERS: Record<number, "tooLargeForProxy" | "proxyAlone" | "proxyWaited"> = {
  413: "tooLargeForProxy",
  502: "proxyAlone",
  503: "proxyAlone",
  504: "proxyWaited",
};

/** Read an error answer. `error` is an object, or a string for a missing key and for the rate limit. */
export function errorOf(status: number, body: unknown, retryAfter: string | null): ApiError {
  const t = texts.value.shared.problems;
  const error = body !== null && typeof body === "object" && "error" in body ? body.error : undefined;
  const seconds = Number.parseFloat(retryAfter ?? "");
  const retryAfterS = Number.isFinite(seconds) ? seconds : null;
  if (typeof error === "string") return new ApiError(status, "", error, "", retryAfterS);
  if (error === undefined) {
    const known = PROXY_ANSWERS[status];
    const unknown = { title: t.notTheServer(status), detail: t.lookAtProxy };
    const { title, detail } = known === undefined ? unknown : t[known];
    return new ApiError(status, NOT_THE_SERVER, title, detail, retryAfterS);
  }
  const { code, message, suggestion } = (error ?? {}) as { code?: string; message?: string; suggestion?: string };
  return new ApiError(status, code ?? "", message ?? t.answered(status), suggestion ?? "", retryAfterS);
}
