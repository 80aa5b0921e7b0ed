// The REST client: the endpoints that the playground uses. Every request and answer goes to the log.

import { errorOf, parsed, unreachable } from "../../operator/answers";
import { serverAddress } from "../../operator/server-address";
import { currentSignIn, PAGE_HEADER, type SignIn } from "../../operator/sign-in";
import type { Avatar, CreatedSession, Output, Points, UploadedFace } from "./types";
import type { WireLog } from "./wire-log";

export class Api {
  /** `signIn`: of this browser; null before there is one. */
  constructor(
    readonly signIn: SignIn | null,
    private readonly log: WireLog,
  ) {
    this.pageToken = signIn?.pageToken ?? "";
  }

  private pageToken: string;

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
      request.setRequestHeader(PAGE_HEADER, this.pageToken);
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
    const headers: Record<string, string> = { [PAGE_HEADER]: this.pageToken };
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
    if (response.ok && !foreign) return answer as T;
    const error = errorOf(response.status, answer, response.headers.get("retry-after"));
    if (error.code !== "REQUEST_FORGED" || !(await this.renewToken())) throw error;
    return this.call(method, path, body, options);
  }

  /** The browser may have signed in anew in another tab. Return whether that has brought another page token. */
  private async renewToken(): Promise<boolean> {
    const before = this.pageToken;
    this.pageToken = (await currentSignIn())?.pageToken ?? "";
    return this.pageToken !== "" && this.pageToken !== before;
  }

  private logAnswer(title: string, status: number, elapsedMs: number, body: unknown): void {
    const note = `${status} · ${Math.round(elapsedMs)} ms`;
    this.log.add({ kind: "rest", direction: "in", title, note, failed: status >= 400, body });
  }
}
