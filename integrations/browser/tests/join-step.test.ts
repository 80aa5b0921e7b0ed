import { describe, expect, it } from "vitest";
import { backoffMs, nextJoinStep } from "../src/viewer/join-step.js";
import { endReason } from "../src/viewer/whep.js";

const answered = (status: number, retryAfterS: number | null = null) =>
  nextJoinStep({ kind: "answered", status, retryAfterS, endReason: null }, 3, 0.5);

describe("joining a room", () => {
  it("waits for the session to start as long as the server asks", () => {
    expect(answered(409, 2)).toEqual({ state: { kind: "waiting" }, retryInMs: 2000, attempt: 0 });
    expect(answered(409).retryInMs).toBe(1000);
    expect(answered(409, 3600).retryInMs).toBe(10_000);
  });
  it("stops where trying again cannot help", () => {
    for (const status of [404, 410])
      expect(answered(status)).toMatchObject({ state: { kind: "ended" }, retryInMs: null });
    for (const status of [401, 403])
      expect(answered(status)).toMatchObject({ state: { kind: "refused", reason: "token" }, retryInMs: null });
    expect(answered(400)).toMatchObject({ state: { kind: "refused", reason: "browser" }, retryInMs: null });
  });
  it("tells why the session has ended, where the server does", () => {
    const body = '{"success":false,"error":{"code":"SESSION_ENDED","details":{"reason":"expired"}}}';
    expect(endReason(410, body)).toBe("expired");
    for (const other of ["", "<html>", "null", "{}", '{"error":{"details":{"reason":5}}}'])
      expect(endReason(410, other)).toBeNull();
    expect(endReason(404, body)).toBeNull();
    const gone = { kind: "answered", status: 410, retryAfterS: null, endReason: "expired" } as const;
    expect(nextJoinStep(gone, 0, 0.5).state).toEqual({ kind: "ended", reason: "expired" });
  });
  it("tries again after server errors and without an answer, each time later", () => {
    expect(answered(503).state).toEqual({ kind: "reconnecting", attempt: 4 });
    const waits = [0, 1, 2, 3, 4, 5, 9].map((attempt) => nextJoinStep({ kind: "unreachable" }, attempt, 1).retryInMs);
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000]);
  });
  it("reconnects at once when a live connection is lost", () => {
    expect(nextJoinStep({ kind: "lost" }, 0, 0.5)).toEqual({
      state: { kind: "reconnecting", attempt: 1 },
      retryInMs: 0,
      attempt: 1,
    });
  });
  it("resets the count of failures when live", () => {
    expect(nextJoinStep({ kind: "joined" }, 7, 0.5)).toEqual({ state: { kind: "live" }, retryInMs: null, attempt: 0 });
  });
});

it("takes up to a quarter off each wait at random", () => {
  expect(backoffMs(2, 0)).toBe(1500);
  expect(backoffMs(2, 1)).toBe(2000);
});
