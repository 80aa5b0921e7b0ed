// The REST client: the endpoints that the playground uses. Every request and answer goes to the log.

import { serverAddress } from "./server-address";
import type { Avatar, CreatedSession, Output, Points, UploadedFace } from "./types";
import type { WireLog } from "./wire-log";

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

  /** `output` is what differs from the default output; undefined sends none. */
  async createSession(lookId: string, output: Partial<Output> | undefined): Promise<CreatedSession> {
    const body = {
      avatar_id: lookId,
      metadata: { made_by: "playground" },
      ...(output === undefined ? {} : { output }),
    };
    return (await this.call<{ session: CreatedSession }>("POST", "/v1/sessions", body)).session;
  }

  /** Return the channel's address, or "try_again" while the server looks for a performer. */
  async startSession(sessionId: string): Promise<string> {
    return (await this.call<{ ws_uri: string }>("POST", `/v1/sessions/${sessionId}/start`)).ws_uri;
  }

  /** The request is sent with keepalive, so that it also leaves a page that is being closed. */
  async endSession(sessionId: string): Promise<void> {
    await this.call("POST", `/v1/sessions/${sessionId}/end`, undefined, { keepalive: true });
  }

  /** `progress` gets the fraction sent, 0 to 1. It stays 1 while the server studies the photo. */
  uploadFace(file: File, progress: (fraction: number) => void, points?: Points): Promise<UploadedFace> {
    const title = "POST /v1/avatars/upload-face";
    const startedAtMs = performance.now();
    const form = new FormData();
    form.append("file", file);
    if (points !== undefined) form.append("points", JSON.stringify(points));
    const note = `${Math.round(file.size / 1000)} kB`;
    this.log.add({ kind: "rest", direction: "out", title, note, body: { file: file.name, points } });
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(); // fetch does not report the progress of an upload
      request.open("POST", serverAddress("/v1/avatars/upload-face?report=true"));
      request.setRequestHeader("x-api-key", this.key);
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) progress(event.loaded / event.total);
      });
      request.addEventListener("error", () => reject(unreachable()));
      request.addEventListener("load", () => {
        const body = parsed(request.responseText);
        this.logAnswer(title, request.status, performance.now() - startedAtMs, body);
        if (request.status >= 200 && request.status < 300 && body !== undefined) resolve(body as UploadedFace);
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
      const sent = body === undefined ? null : JSON.stringify(body);
      response = await fetch(serverAddress(path), { method, headers, body: sent, cache: "no-store", ...options });
      text = await response.text();
    } catch {
      this.log.add({ kind: "rest", direction: "in", title, note: "no answer", failed: true });
      throw unreachable();
    }
    const answer = parsed(text);
    this.logAnswer(title, response.status, performance.now() - startedAtMs, answer);
    const foreign = answer === undefined && text !== ""; // for example the sign-in page of a proxy
    if (!response.ok || foreign) throw errorOf(response.status, answer, response.headers.get("retry-after"));
    return answer as T;
  }

  private logAnswer(title: string, status: number, elapsedMs: number, body: unknown): void {
    const note = `${status} · ${Math.round(elapsedMs)} ms`;
    this.log.add({ kind: "rest", direction: "in", title, note, failed: status >= 400, body });
  }
}

function unreachable(): ApiError {
  return new ApiError(0, "UNREACHABLE", "The server does not answer", "", null);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // for example a proxy's HTML page: `errorOf` then goes by the status
  }
}

/** The code of an answer that the server did not write, for example a proxy's HTML page. */
export const NOT_THE_SERVER = "NOT_THE_SERVER";

// What an answer means that is not the server's own, by its status: title, then suggestion.
const PROXY_ANSWERS: Record<number, [title: string, suggestion: string]> = {
  413: [
    "The file is larger than the proxy in front of the server allows",
    "Send a smaller file, or raise the proxy's limit (nginx: client_max_body_size 11m).",
  ],
  502: ["The proxy cannot reach the server", "The server may be starting, or stopped."],
  503: ["The proxy cannot reach the server", "The server may be starting, or stopped."],
  504: ["The server took longer than the proxy waits", "Try again, or raise the proxy's time limit."],
};

/** Read an error answer. `error` is an object, or a string for a missing key and for the rate limit. */
export function errorOf(status: number, body: unknown, retryAfter: string | null): ApiError {
  const error = body !== null && typeof body === "object" && "error" in body ? body.error : undefined;
  const seconds = Number.parseFloat(retryAfter ?? "");
  const retryAfterS = Number.isFinite(seconds) ? seconds : null;
  if (typeof error === "string") return new ApiError(status, "", error, "", retryAfterS);
  if (error === undefined) {
    const unknown = [
      `Something between this page and the server answered ${status}`,
      "Look at the proxy's log.",
    ] as const;
    const [title, suggestion] = PROXY_ANSWERS[status] ?? unknown;
    return new ApiError(status, NOT_THE_SERVER, title, suggestion, retryAfterS);
  }
  const { code, message, suggestion } = (error ?? {}) as { code?: string; message?: string; suggestion?: string };
  return new ApiError(status, code ?? "", message ?? `The server answered ${status}`, suggestion ?? "", retryAfterS);
}
