// What the package throws. Every class is a `VisavisError`.

export class VisavisError extends Error {
  override readonly name: string = "VisavisError"; // written out, because minifiers rename classes
}

/** A token that this package never takes: an API key, or the token of a whole session. */
export class WrongToken extends VisavisError {
  override readonly name: string = "WrongToken";
}

/** An API key. It opens the whole account, so it stays on your server. */
export class ApiKeyRefused extends WrongToken {
  override readonly name: string = "ApiKeyRefused";
}

/** An option that is missing or contradicts another one. */
export class InvalidOptions extends VisavisError {
  override readonly name: string = "InvalidOptions";
}

/** Sound that cannot be sent: no PCM, or an unknown sample rate. */
export class InvalidSound extends VisavisError {
  override readonly name: string = "InvalidSound";
}

/** This browser, or this version of Node, lacks something that the call needs. */
export class Unsupported extends VisavisError {
  override readonly name: string = "Unsupported";
}

/** The server gave no answer. `barrier`: what the browser may have put in the way, if the addresses suggest it. */
export class ServerUnreachable extends VisavisError {
  override readonly name: string = "ServerUnreachable";

  constructor(
    message: string,
    readonly barrier: "mixed-content" | "local-network" | null = null,
  ) {
    super(message);
  }
}

/** The connection was lost and the conversation could not go on: speech that was not confirmed may be lost. */
export class ChannelLost extends VisavisError {
  override readonly name: string = "ChannelLost";
}

/** The server refused a call or a message. `code`: stable, see docs/reference/errors.md. */
export class Refused extends VisavisError {
  override readonly name: string = "Refused";

  constructor(
    message: string,
    readonly code: string,
  ) {
    super(code === "" ? message : `${message} [${code}]`);
  }
}

/** The session has ended. `reason`: the end reason that the server has recorded, such as `expired`. */
export class SessionEnded extends VisavisError {
  override readonly name: string = "SessionEnded";

  constructor(readonly reason: string) {
    super(`The session has ended: ${reason}`);
  }
}

/** Another channel has opened the session. This one is over; the session goes on. */
export class TakenOver extends SessionEnded {
  override readonly name: string = "TakenOver";

  constructor() {
    super("taken_over");
  }
}
