// The REST half of the contract, as far as the playground uses it. Every exchange goes to the log.

import type { Points, Report } from "./photo";
import type { WireLog } from "./wire-log";

export interface Avatar {
  avatar_id: string;
  name: string;
  preview_img_url: string | null;
  parent_id: string | null;
  looks_count: number;
  is_public: 0 | 1;
}

export interface UploadedFace {
  avatar_id: string;
  preview_url: string;
  report?: Report;
}

export interface CreatedSession {
  session_id: string;
  access_token: string;
  daily_room: { url: string; name: string; token: string };
}

/** An answer that is no success, or (status 0) no answer at all. `message` and `suggestion` are the server's own words. */
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

export class Api {
  constructor(
    readonly key: string,
    private readonly log: WireLog,
  ) {}

  async publicAvatars(): Promise<Avatar[]> {
    return (await this.call<{ avatars: Avatar[] }>("GET", "/v1/avatars/public")).avatars;
  }

  async ownAvatars(): Promise<Avatar[]> {
    return (await this.call<{ avatars: Avatar[] }>("GET", "/v1/avatars?characters_only=true")).avatars;
  }

  async looks(characterId: string): Promise<Avatar[]> {
    const query = new URLSearchParams({ parent_id: characterId, characters_only: "false" });
    return (await this.call<{ avatars: Avatar[] }>("GET", `/v1/avatars?${query}`)).avatars;
  }

  async deleteAvatar(avatarId: string): Promise<void> {
    await this.call("DELETE", `/v1/avatars/${encodeURIComponent(avatarId)}`);
  }

  async createSession(lookId: string, output: object | undefined): Promise<CreatedSession> {
    const body = { avatar_id: lookId, metadata: { made_by: "playground" }, ...(output === undefined ? {} : { output }) };
    return (await this.call<{ session: CreatedSession }>("POST", "/v1/sessions", body)).session;
  }

  /** Returns the channel's address, or "try_again" while a performer is being found. */
  async startSession(sessionId: string): Promise<string> {
    return (await this.call<{ ws_uri: string }>("POST", `/v1/sessions/${sessionId}/start`)).ws_uri;
  }

  /** Sent with keepalive, so that it also leaves from a page that goes away. */
  async endSession(sessionId: string): Promise<void> {
    await this.call("POST", `/v1/sessions/${sessionId}/end`, undefined, { keepalive: true });
  }

  /** `progress` runs from 0 to 1 while the photo travels, and is 1 while the server studies it. */
  uploadFace(file: File, progress: (part: number) => void, points?: Points): Promise<UploadedFace> {
    const startedAtMs = performance.now();
    const form = new FormData();
    form.append("file", file);
    if (points !== undefined) form.append("points", JSON.stringify(points));
    this.log.add({ kind: "rest", direction: "out", title: "POST /v1/avatars/upload-face", note: `${Math.round(file.size / 1000)} kB`, body: { file: file.name, points } });
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(); // fetch cannot tell how far an upload is
      request.open("POST", "/v1/avatars/upload-face?report=true");
      request.setRequestHeader("x-api-key", this.key);
      request.upload.addEventListener("progress", (event) => event.lengthComputable && progress(event.loaded / event.total));
      request.addEventListener("error", () => reject(unreachable()));
      request.addEventListener("load", () => {
        const body = parsed(request.responseText);
        this.answered("POST /v1/avatars/upload-face", request.status, performance.now() - startedAtMs, body);
        if (request.status >= 200 && request.status < 300) resolve(body as UploadedFace);
        else reject(errorOf(request.status, body, request.getResponseHeader("retry-after")));
      });
      request.send(form);
    });
  }

  private async call<T>(method: string, path: string, body?: unknown, options: RequestInit = {}): Promise<T> {
    const title = `${method} ${path}`;
    const startedAtMs = performance.now();
    this.log.add({ kind: "rest", direction: "out", title, body });
    const headers: Record<string, string> = { "x-api-key": this.key };
    if (body !== undefined) headers["content-type"] = "application/json";
    let response: Response;
    let text: string;
    try {
      response = await fetch(path, { method, headers, body: body === undefined ? null : JSON.stringify(body), cache: "no-store", ...options });
      text = await response.text();
    } catch {
      this.log.add({ kind: "rest", direction: "in", title, note: "no answer", failed: true });
      throw unreachable();
    }
    const answer = parsed(text);
    this.answered(title, response.status, performance.now() - startedAtMs, answer);
    if (!response.ok) throw errorOf(response.status, answer, response.headers.get("retry-after"));
    return answer as T;
  }

  private answered(title: string, status: number, elapsedMs: number, body: unknown): void {
    this.log.add({ kind: "rest", direction: "in", title, note: `${status} · ${Math.round(elapsedMs)} ms`, failed: status >= 400, body });
  }
}

function unreachable(): ApiError {
  return new ApiError(0, "UNREACHABLE", "The server does not answer", "", null);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a proxy's page, for example; the status still speaks
  }
}

/** Reads both of the contract's shapes: `error` as an object, and (no key, rate limit) as a string. */
export function errorOf(status: number, body: unknown, retryAfter: string | null): ApiError {
  const error = body !== null && typeof body === "object" && "error" in body ? body.error : undefined;
  const seconds = Number.parseFloat(retryAfter ?? "");
  const retryAfterS = Number.isFinite(seconds) ? seconds : null;
  if (typeof error === "string") return new ApiError(status, "", error, "", retryAfterS);
  const detail = (error ?? {}) as { code?: string; message?: string; suggestion?: string };
  return new ApiError(status, detail.code ?? "", detail.message ?? `The server answered ${status}`, detail.suggestion ?? "", retryAfterS);
}
