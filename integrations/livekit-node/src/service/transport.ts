// Calls over HTTP: one answer or one typed error each, repeated where that is safe and may help.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { Refused, ServerUnreachable, VisavisError } from "../errors.js";
import { isObject, refusal } from "./answers.js";
import { waitBeforeRetryS } from "./retries.js";

export type Json = Readonly<Record<string, unknown>>;

const TIMEOUT_MS = 30_000;
const RETRIES = 3;
const LONGEST_WAIT_S = 60;
const USER_AGENT = "visavis-livekit-agents/0.1";

/** A call was broken off while it was being repeated. `last`: why it was. */
export class BrokenOff extends Error {
  constructor(readonly last: VisavisError) {
    super(`broken off; before: ${last.message}`);
  }
}

/** The calls of one API key to one server. */
export class Transport {
  constructor(
    readonly baseUrl: string,
    private readonly apiKey: string,
  ) {}

  /** Once `signal` is aborted, every call throws its reason; one that was being repeated `BrokenOff` or its last
   * refusal. */
  async get(path: string, signal?: AbortSignal): Promise<Json> {
    return this.repeated({ method: "GET" }, path, signal);
  }

  /** Post JSON. However often it is repeated, the server performs it once. */
  async post(path: string, body?: Json, idempotencyKey = newIdempotencyKey(), signal?: AbortSignal): Promise<Json> {
    const headers = { "idempotency-key": idempotencyKey, prefer: "handling=strict" };
    const call: RequestInit = { method: "POST", headers };
    if (body !== undefined) {
      call.headers = { ...headers, "content-type": "application/json" };
      call.body = JSON.stringify(body);
    }
    return this.repeated(call, path, signal);
  }

  private async repeated(call: RequestInit, path: string, signal: AbortSignal | undefined): Promise<Json> {
    let last: VisavisError | undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.once(call, path, signal);
      } catch (error) {
        if (last !== undefined && signal?.aborted === true) throw new BrokenOff(last);
        if (!(error instanceof VisavisError) || attempt > RETRIES) throw error;
        last = error;
        const waitS = waitBeforeRetryS(error, attempt, Math.random());
        if (waitS === undefined || waitS > LONGEST_WAIT_S) throw error;
        try {
          await sleep(waitS * 1000, undefined, signal === undefined ? {} : { signal });
        } catch {
          throw error; // it says more than that the time is over
        }
      }
    }
  }

  private async once(call: RequestInit, path: string, signal: AbortSignal | undefined): Promise<Json> {
    signal?.throwIfAborted();
    const inTime = AbortSignal.timeout(TIMEOUT_MS);
    const headers = { ...call.headers, "x-api-key": this.apiKey, "user-agent": USER_AGENT };
    let status: number, answered: Headers, body: string;
    try {
      const answer = await fetch(this.baseUrl + path, {
        ...call,
        headers,
        signal: signal === undefined ? inTime : AbortSignal.any([signal, inTime]),
      });
      [status, answered, body] = [answer.status, answer.headers, await answer.text()];
    } catch (error) {
      signal?.throwIfAborted();
      throw new ServerUnreachable(`${this.baseUrl}: ${reason(error)}`);
    }
    if (status < 200 || status > 299) throw refusal(status, answered, body);
    return document(body, status, this.baseUrl);
  }
}

export function newIdempotencyKey(): string {
  return randomUUID().replaceAll("-", "");
}

function document(body: string, status: number, baseUrl: string): Json {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    parsed = undefined;
  }
  if (isObject(parsed)) return parsed;
  throw new Refused(`${baseUrl} is not a Visavis server: its answer is no JSON object`, { status });
}

/** Return why a call got no answer. `fetch` hides it in the cause of its error. */
function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return cause.message || cause.name;
}
