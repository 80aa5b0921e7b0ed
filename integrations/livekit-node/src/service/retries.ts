// Which calls are tried again, and when. Pure: no network and no clock.
//
// Every POST of this package has an Idempotency-Key, so each call may be repeated without being performed twice.

import { NoCapacity, RateLimited, Refused, ServerUnreachable, type VisavisError } from "../errors.js";

const FIRST_WAIT_S = 0.5;
const LONGEST_WAIT_S = 8;
const SPREAD = 1 / 3; // clients that were refused at once come back spread over a third of the wait
const AGAIN_STATUS: ReadonlySet<number> = new Set([408, 502, 503, 504]);
const AGAIN_CODES: ReadonlySet<string> = new Set(["IDEMPOTENCY_IN_PROGRESS"]);

/** Return after how many seconds to repeat a call, undefined where repeating it is no use.
 *
 * `attempt`: how often the call has failed, from 1. `chance`: a random number from 0 to 1. A plan that is full, a
 * quota that is used up, a wrong call, and whatever the server says is no use are never repeated.
 */
export function waitBeforeRetryS(error: VisavisError, attempt: number, chance: number): number | undefined {
  if (!maySucceedLater(error)) return undefined;
  const askedS = error instanceof Refused ? error.retryAfterS : undefined;
  if (askedS !== undefined) return askedS * (1 + SPREAD * chance);
  return Math.min(FIRST_WAIT_S * 2 ** (attempt - 1), LONGEST_WAIT_S) * (1 - SPREAD * chance);
}

function maySucceedLater(error: VisavisError): boolean {
  if (error instanceof Refused && error.shouldRetry === false) return false;
  if (error instanceof ServerUnreachable || error instanceof NoCapacity || error instanceof RateLimited) return true;
  return error instanceof Refused && (AGAIN_STATUS.has(error.status) || AGAIN_CODES.has(error.code));
}
