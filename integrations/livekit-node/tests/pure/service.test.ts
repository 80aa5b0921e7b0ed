// The calls over HTTP, against a small server of this process.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import * as errors from "../../src/errors.js";
import { findAvatar } from "../../src/portraits.js";
import { refusal } from "../../src/service/answers.js";
import { waitBeforeRetryS } from "../../src/service/retries.js";
import { VisavisService } from "../../src/service/service.js";

const refused = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  refusal(status, new Headers(headers), typeof body === "string" ? body : JSON.stringify(body));

describe("refusals", () => {
  test("are told by their status and code, and say what to do", () => {
    const body = { error: { message: "No such look.", suggestion: "Ask for the list", code: "AVATAR_NOT_A_LOOK" } };
    const error = refused(400, body, { "request-id": "req_1" });
    expect(error).toBeInstanceOf(errors.InvalidRequest);
    expect(error.message).toBe("No such look. Ask for the list [AVATAR_NOT_A_LOOK]");
    expect(error.requestId).toBe("req_1");
    expect(refused(401, { error: "Invalid API key" })).toBeInstanceOf(errors.Unauthorized);
    expect(refused(429, { error: "Too many requests" })).toBeInstanceOf(errors.RateLimited);
    expect(refused(429, { error: { code: "CONCURRENCY_LIMIT_REACHED" } })).toBeInstanceOf(errors.LimitReached);
    expect(refused(503, { error: { code: "NO_CAPACITY" } })).toBeInstanceOf(errors.NoCapacity);
    expect(refused(500, "<html>")).toBeInstanceOf(errors.ServerFault);
    expect(refused(502, "<html>").message).toContain("A proxy answers");
    expect(refused(418, "[]").message).toContain("not one of a Visavis server");
  });

  test("are tried again only where that may help", () => {
    const wait = (error: errors.VisavisError, attempt = 1) => waitBeforeRetryS(error, attempt, 0);
    expect(wait(new errors.ServerUnreachable("x"))).toBe(0.5);
    expect(wait(new errors.ServerUnreachable("x"), 9)).toBe(8);
    expect(wait(refused(503, { error: { code: "NO_CAPACITY" } }, { "retry-after": "3" }))).toBe(3);
    expect(wait(refused(502, "<html>"))).toBe(0.5);
    expect(wait(refused(502, "<html>", { "visavis-should-retry": "false" }))).toBeUndefined();
    expect(wait(refused(401, { error: "Invalid API key" }))).toBeUndefined();
    expect(wait(refused(429, { error: { code: "CONCURRENCY_LIMIT_REACHED" } }))).toBeUndefined();
  });
});

describe("the service", () => {
  let server: Server;
  let service: VisavisService;
  let asked: { path: string; key: string; body: string }[];
  let respond: (request: IncomingMessage, response: ServerResponse) => void;

  beforeEach(async () => {
    asked = [];
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (piece) => (body += piece));
      request.on("end", () => {
        const key = String(request.headers["idempotency-key"] ?? "");
        asked.push({ path: `${request.method} ${request.url}`, key, body });
        respond(request, response);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    service = new VisavisService(`http://127.0.0.1:${port}/`, "ah_live_x");
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const answer = (response: ServerResponse, document: unknown, status = 200) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(document));
  };

  test("repeats a create under the same key, so that it makes one session", async () => {
    respond = (_, response) => {
      if (asked.length === 1) response.socket!.destroy();
      else answer(response, { session: { session_id: "sess_1" } });
    };
    expect(await service.create({ avatar: "avat_1" }, new AbortController().signal)).toBe("sess_1");
    expect(asked.map((one) => one.path)).toEqual(["POST /v1/sessions", "POST /v1/sessions"]);
    expect(new Set(asked.map((one) => one.key)).size).toBe(1);
    expect(JSON.parse(asked[0]!.body)).toEqual({ avatar: "avat_1" });
  });

  test("ends the session of a create that was broken off", async () => {
    const broken = new AbortController();
    respond = (_, response) => {
      if (asked.length === 1) broken.abort();
      else answer(response, { session: { session_id: "sess_1" } });
    };
    await expect(service.create({ avatar: "avat_1" }, broken.signal)).rejects.toThrow();
    expect(asked.map((one) => one.path)).toEqual([
      "POST /v1/sessions",
      "POST /v1/sessions",
      "POST /v1/sessions/sess_1/end",
    ]);
    expect(asked[1]!.key).toBe(asked[0]!.key);
  });

  test("tells the refusal, not the time that is over, if a create was tried again in vain", async () => {
    respond = (_, response) => {
      response.setHeader("retry-after", "30");
      answer(response, { error: { code: "NO_CAPACITY", message: "No machine is free" } }, 503);
    };
    const created = service.create({ avatar: "avat_1" }, AbortSignal.timeout(300));
    await expect(created).rejects.toBeInstanceOf(errors.NoCapacity);
    expect(asked.length).toBe(1); // and nothing is undone
  });

  test("keeps the refusal if a create is broken off while it is tried again, and leaves no session", async () => {
    const broken = new AbortController();
    respond = (_, response) => {
      response.setHeader("retry-after", "0");
      if (asked.length === 1) answer(response, { error: { code: "NO_CAPACITY", message: "No machine is free" } }, 503);
      else if (asked.length === 2) broken.abort();
      else answer(response, { session: { session_id: "sess_1" } });
    };
    await expect(service.create({ avatar: "avat_1" }, broken.signal)).rejects.toMatchObject({
      last: { code: "NO_CAPACITY" },
    });
    expect(asked.at(-1)!.path).toBe("POST /v1/sessions/sess_1/end");
  });

  test("says so if it is no Visavis server, or not there", async () => {
    respond = (_, response) => response.end("hello");
    await expect(service.end("sess_1")).rejects.toThrow("is not a Visavis server");
    const gone = new VisavisService("http://127.0.0.1:9", "ah_live_x");
    const soon = AbortSignal.timeout(50); // else it is tried again for seconds
    await expect(gone.end("sess_1", soon)).rejects.toThrow();
  });

  test("finds avatars by name, and lists them where there is none", async () => {
    const avatars = ["Iris (Look)", "Leo"].map((name, number) => ({ avatar_id: `avat_${number}`, name }));
    respond = (_, response) => answer(response, { avatars });
    expect(await findAvatar(service, "iris")).toBe("avat_0");
    await expect(findAvatar(service, "nobody")).rejects.toThrow('No avatar is called "nobody". The account has: Iris');
    expect(asked[0]!.path).toBe("GET /v1/avatars?characters_only=true");
  });

  test("takes ids, addresses and photos as they are", async () => {
    for (const choice of ["avat_1", "https://example.com/a.jpg", "data:image/png;base64,AA=="]) {
      expect(await findAvatar(service, choice)).toBe(choice);
    }
    expect(await findAvatar(service, new URL("https://example.com/a.jpg"))).toBe("https://example.com/a.jpg");
    expect(await findAvatar(service, new Uint8Array([1, 2, 3]))).toBe("AQID");
    expect(await findAvatar(service, new URL("../../LICENSE", import.meta.url))).toMatch(/^ICAg|^Ci/);
    await expect(findAvatar(service, new URL("./nothing.jpg", import.meta.url))).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
    });
    expect(asked).toEqual([]);
  });
});
