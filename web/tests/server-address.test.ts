import { describe, expect, it } from "vitest";
import { serverAddress } from "../src/playground/wire/server-address";

describe("an address of the server", () => {
  it("begins where the page is", () => {
    expect(serverAddress("/v1/sessions", "http://127.0.0.1:8000/#key=a")).toBe("http://127.0.0.1:8000/v1/sessions");
    expect(serverAddress("/", "http://127.0.0.1:8000/?a=b")).toBe("http://127.0.0.1:8000/");
  });
  it("keeps the path under which a proxy serves the page", () => {
    const page = "https://example.org/avatar/?a=b#c";
    expect(serverAddress("/v1/avatars?parent_id=a", page)).toBe("https://example.org/avatar/v1/avatars?parent_id=a");
    expect(serverAddress("/", page)).toBe("https://example.org/avatar/");
  });
});
