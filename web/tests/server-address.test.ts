import { describe, expect, it } from "vitest";
import { serverAddress } from "../src/operator/server-address";

describe("an address of the server", () => {
  it("begins where the icon is", () => {
    const icon = "http://127.0.0.1:8000/favicon.svg";
    expect(serverAddress("/v1/sessions", icon)).toBe("http://127.0.0.1:8000/v1/sessions");
    expect(serverAddress("/", icon)).toBe("http://127.0.0.1:8000/");
  });
  it("keeps the path below which a proxy serves the server", () => {
    const icon = "https://example.org/avatar/favicon.svg";
    expect(serverAddress("/v1/avatars?parent_id=a", icon)).toBe("https://example.org/avatar/v1/avatars?parent_id=a");
    expect(serverAddress("/", icon)).toBe("https://example.org/avatar/");
  });
});
