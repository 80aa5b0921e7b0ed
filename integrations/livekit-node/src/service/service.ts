// What the plug-in asks of a Visavis server: which avatars there are, and a session in the agent's room.

import { AvatarError, Refused, VisavisError } from "../errors.js";
import { type Json, newIdempotencyKey, Transport } from "./transport.js";

const DEFAULT_URL = "http://127.0.0.1:8000";
const UNDO_WITHIN_MS = 5_000; // how long a create that was broken off may still take to leave nothing behind

export interface Avatar {
  id: string;
  name: string;
}

export class VisavisService {
  readonly baseUrl: string;
  private readonly transport: Transport;

  /**
   * `apiUrl`, `apiKey`: default: the variables VISAVIS_API_URL, else port 8000 of this machine, and
   * VISAVIS_API_KEY.
   */
  constructor(apiUrl?: string, apiKey?: string) {
    this.baseUrl = (apiUrl || process.env["VISAVIS_API_URL"] || DEFAULT_URL).replace(/\/+$/, "");
    const key = apiKey || process.env["VISAVIS_API_KEY"];
    if (!key) throw new VisavisError("An API key is needed: give apiKey, or set VISAVIS_API_KEY");
    this.transport = new Transport(this.baseUrl, key);
  }

  /** Return the characters of the account and the public ones. */
  async avatars(signal?: AbortSignal): Promise<Avatar[]> {
    const { avatars } = await this.transport.get("/v1/avatars?characters_only=true", signal);
    if (!Array.isArray(avatars)) throw new AvatarError(`${this.baseUrl} has answered without avatars`);
    return (avatars as Json[]).map((one) => ({ id: String(one["avatar_id"]), name: String(one["name"] ?? "") }));
  }

  /** Start a session, and return its id. A call that is aborted leaves no session behind. */
  async create(body: Json, signal: AbortSignal): Promise<string> {
    const key = newIdempotencyKey();
    signal.throwIfAborted(); // then nothing was sent, and nothing is undone
    try {
      return sessionId(await this.transport.post("/v1/sessions", body, key, signal));
    } catch (error) {
      if (signal.aborted && !(error instanceof Refused)) await this.undo(body, key);
      throw error;
    }
  }

  /** End a session. May be called twice. */
  async end(id: string, signal?: AbortSignal): Promise<void> {
    await this.transport.post(`/v1/sessions/${id}/end`, undefined, undefined, signal);
  }

  /** End the session of a create whose answer nobody waited for: the same call once more tells its id. */
  private async undo(body: Json, key: string): Promise<void> {
    const inTime = AbortSignal.timeout(UNDO_WITHIN_MS);
    try {
      await this.end(sessionId(await this.transport.post("/v1/sessions", body, key, inTime)), inTime);
    } catch {
      // refused: then there is no session; or out of reach: then it ends when its agent does not come
    }
  }
}

function sessionId(answer: Json): string {
  return String((answer["session"] as Json | undefined)?.["session_id"] ?? "");
}
