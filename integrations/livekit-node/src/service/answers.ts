// Refusals as they come over HTTP, made into errors. Pure: no network and no clock.

import {
  Conflict,
  Forbidden,
  InvalidRequest,
  LimitReached,
  NoCapacity,
  NotFound,
  OutOfMinutes,
  RateLimited,
  Refused,
  type Refusal,
  ServerFault,
  Unauthorized,
} from "../errors.js";

type Kind = new (message: string, refusal: Refusal) => Refused;

const OF_STATUS: Readonly<Record<number, Kind>> = {
  400: InvalidRequest,
  401: Unauthorized,
  402: OutOfMinutes,
  403: Forbidden,
  404: NotFound,
  405: InvalidRequest,
  409: Conflict,
  413: InvalidRequest,
  415: InvalidRequest,
  429: LimitReached,
};

// What a proxy says in HTML, in words for whoever calls.
const OF_A_PROXY: Readonly<Record<number, string>> = {
  413: "The request is larger than a proxy before the server takes",
  502: "A proxy answers, but the server behind it does not",
  503: "A proxy answers, but the server behind it is not ready",
  504: "A proxy answers, but the server behind it took too long",
};

/** Return the error of an answer whose status is not 2xx. */
export function refusal(status: number, headers: Headers, body: string): Refused {
  const error = errorOf(body) ?? {
    message: OF_A_PROXY[status] ?? `The answer is not one of a Visavis server (HTTP ${status})`,
  };
  const code = text(error["code"]);
  const again = headers.get("visavis-should-retry");
  const Kind = kindOf(status, code);
  return new Kind(text(error["message"]) || `HTTP ${status}`, {
    status,
    code: code || (headers.get("visavis-error-code") ?? ""),
    suggestion: text(error["suggestion"]) || undefined,
    details: isObject(error["details"]) ? error["details"] : undefined,
    requestId: headers.get("request-id") ?? undefined,
    retryAfterS: seconds(headers.get("retry-after")),
    shouldRetry: again === null ? undefined : again === "true",
  });
}

/** Return whether a value is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(status: number, code: string): Kind {
  if (status === 429 && code === "") return RateLimited; // the one refusal of the service whose error is a text
  if (code === "NO_CAPACITY") return NoCapacity;
  return OF_STATUS[status] ?? (status >= 500 ? ServerFault : Refused);
}

/** Return the error of a body, or undefined where it has no error of this service. */
function errorOf(body: string): Record<string, unknown> | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    return undefined;
  }
  const error = isObject(answer) ? answer["error"] : undefined;
  if (typeof error === "string") return { message: error };
  return isObject(error) ? error : undefined;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Return the seconds of a Retry-After; undefined for none and for a date, which this service never sends. */
function seconds(given: string | null): number | undefined {
  const value = given === null || given.trim() === "" ? Number.NaN : Number(given);
  return Number.isNaN(value) ? undefined : Math.max(value, 0);
}
