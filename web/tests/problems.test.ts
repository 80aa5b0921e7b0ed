import { describe, expect, it } from "vitest";
import { ApiError, errorOf, NOT_THE_SERVER } from "../src/operator/answers";
import { problemOf } from "../src/operator/problems";
import { describeEnd, photoProblem } from "../src/playground/wire/problems";

describe("an error answer", () => {
  it("is read in both of its forms", () => {
    const refused = { success: false, error: { code: "NO_FACE", message: "No face", suggestion: "Try another" } };
    expect(errorOf(400, refused, null)).toMatchObject({
      code: "NO_FACE",
      message: "No face",
      suggestion: "Try another",
    });
    const limited = errorOf(429, { success: false, error: "Too many requests" }, "20");
    expect(limited).toMatchObject({ code: "", message: "Too many requests", retryAfterS: 20 });
  });
  it("that is no JSON is described by its status", () => {
    const seen = (status: number): string => problemOf(errorOf(status, undefined, null)).title;
    expect(seen(413)).toBe("The file is larger than the proxy in front of the server allows");
    expect(seen(502)).toBe("The proxy cannot reach the server");
    expect(seen(504)).toBe("The server took longer than the proxy waits");
    expect(seen(429)).toBe("Something between this page and the server answered 429"); // not the key's own limit
    expect(errorOf(200, undefined, null).message).toBe("Something between this page and the server answered 200");
    expect(errorOf(400, undefined, null).code).toBe(NOT_THE_SERVER);
  });
});

describe("a problem", () => {
  it("is tried again only where that may help", () => {
    const after = (status: number, code = "", retryAfterS: number | null = null) =>
      problemOf(new ApiError(status, code, "text", "", retryAfterS)).retryAfterS;
    expect(after(0)).toBe(3);
    expect(after(503, "NO_CAPACITY", 9)).toBe(9);
    expect(after(500)).toBe(5);
    expect(after(429, "CONCURRENCY_LIMIT_REACHED")).toBeNull();
    expect(after(402, "INSUFFICIENT_MINUTES")).toBeNull();
    expect(after(404)).toBeNull();
  });
  it("with a photo has its own text, else the server's", () => {
    expect(photoProblem(new ApiError(400, "NO_FACE", "text", "", null)).title).toBe("No face found");
    const points = new ApiError(400, "INVALID_POINTS", "The chin is not below the mouth", "", null);
    expect(photoProblem(points).title).toBe("The chin is not below the mouth");
  });
});

it("describes why a session ended", () => {
  expect(describeEnd(4409, "")).toBe("Another page has taken over this session.");
  expect(describeEnd(1006, "")).toBe("The connection to the server was lost.");
  expect(describeEnd(1000, "expired")).toBe("The session reached its maximum duration.");
  expect(describeEnd(1000, "")).toBe("");
  expect(describeEnd(4410, "some_new_reason")).toBe("some new reason");
});
