// What the package throws. Every class is a `VisavisError`. Their names are those of visavis-client and
// livekit-plugins-visavis, its twins in Python.

export class VisavisError extends Error {
  override readonly name: string = "VisavisError"; // written out, because bundlers rename classes
}

/** The server gave no answer: no connection, a time-out, or a connection that broke. */
export class ServerUnreachable extends VisavisError {
  override readonly name: string = "ServerUnreachable";
}

/** What a refusal has beside its message. `status`: of HTTP. `code`: stable, empty where the answer has none. */
export interface Refusal {
  status: number;
  code?: string;
  suggestion?: string | undefined;
  details?: Readonly<Record<string, unknown>> | undefined;
  /** Names the call in the server's log. */
  requestId?: string | undefined;
  /** After how many seconds the same call may succeed, where it may. */
  retryAfterS?: number | undefined;
  /** Whether the server says that the call can succeed later; undefined for the answer of a proxy. */
  shouldRetry?: boolean | undefined;
}

/** The server refused a call. */
export class Refused extends VisavisError {
  override readonly name: string = "Refused";
  readonly status: number;
  readonly code: string;
  readonly suggestion: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  readonly requestId: string | undefined;
  readonly retryAfterS: number | undefined;
  readonly shouldRetry: boolean | undefined;

  constructor(message: string, refusal: Refusal) {
    const { status, code = "", suggestion } = refusal;
    const said = [message, suggestion ?? ""].filter((part) => part !== "").map((part) => part.replace(/\.+$/, ""));
    super(`${said.join(". ")} ${code === "" ? `[HTTP ${status}]` : `[${code}]`}`);
    this.status = status;
    this.code = code;
    this.suggestion = suggestion;
    this.details = refusal.details ?? {};
    this.requestId = refusal.requestId;
    this.retryAfterS = refusal.retryAfterS;
    this.shouldRetry = refusal.shouldRetry;
  }
}

/** 400, 405, 413, 415: the call itself is wrong. */
export class InvalidRequest extends Refused {
  override readonly name: string = "InvalidRequest";
}

/** 401: no API key, or one that is unknown, revoked or expired. */
export class Unauthorized extends Refused {
  override readonly name: string = "Unauthorized";
}

/** 402: the account has no minutes left. */
export class OutOfMinutes extends Refused {
  override readonly name: string = "OutOfMinutes";
}

/** 403: the key may not do this. */
export class Forbidden extends Refused {
  override readonly name: string = "Forbidden";
}

/** 404: there is no such session, avatar or address in this account. */
export class NotFound extends Refused {
  override readonly name: string = "NotFound";
}

/** 409: the session or the Idempotency-Key is in another state. */
export class Conflict extends Refused {
  override readonly name: string = "Conflict";
}

/** 429: the plan or a quota is used up; `code` names which. Waiting alone does not help. */
export class LimitReached extends Refused {
  override readonly name: string = "LimitReached";
}

/** 429: too many requests in this minute. */
export class RateLimited extends Refused {
  override readonly name: string = "RateLimited";
}

/** 503: the machine has no free place now. */
export class NoCapacity extends Refused {
  override readonly name: string = "NoCapacity";
}

/** 5xx: the server, or a proxy before it, failed. */
export class ServerFault extends Refused {
  override readonly name: string = "ServerFault";
}

/** Base of what has to do with the avatar in the room. */
export class AvatarError extends VisavisError {
  override readonly name: string = "AvatarError";
}

/** The avatar has not shown a picture in time. */
export class AvatarNotReady extends AvatarError {
  override readonly name: string = "AvatarNotReady";
}

/** The avatar has left the room in the middle of the conversation. */
export class AvatarLost extends AvatarError {
  override readonly name: string = "AvatarLost";
}

/** No avatar of the account has this name. */
export class AvatarUnknown extends AvatarError {
  override readonly name: string = "AvatarUnknown";
}

/** The avatar has refused a call in the room. `code`: the stable code of the error, empty if it has none. */
export class AvatarRefused extends AvatarError {
  override readonly name: string = "AvatarRefused";

  constructor(
    message: string,
    readonly code: string = "",
  ) {
    super(code === "" ? message : `${message} [${code}]`);
  }
}

/** No avatar can join this room: it is end-to-end encrypted, its agent is hidden, or its name is not known yet. */
export class RoomUnsuitable extends AvatarError {
  override readonly name: string = "RoomUnsuitable";
}
