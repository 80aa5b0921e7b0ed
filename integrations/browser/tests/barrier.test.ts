import { afterEach, describe, expect, it, vi } from "vitest";
import { textsFor } from "../src/element/texts.js";
import { type Barrier, barrierBetween, barrierTo } from "../src/viewer/barrier.js";
import { nextJoinStep } from "../src/viewer/join-step.js";

const between = (page: string, server: string): Barrier | null => barrierBetween(new URL(page), new URL(server));

describe("what a browser puts between a page and a server", () => {
  it.each([
    "192.168.1.7",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "169.254.1.1",
    "100.64.0.1",
    "127.0.0.1",
    "localhost",
    "avatars.localhost",
    "box.local",
    "box",
    "[::1]",
    "[fd00::7]",
    "[fe80::1]",
  ])("keeps pages of the public web from %s", (host) => {
    expect(between("https://www.example.com/page", `https://${host}:8000`)).toBe("local-network");
    expect(between("http://203.0.113.7/page", `http://${host}:8000`)).toBe("local-network");
    expect(between("https://intranet.lan/page", `https://${host}:8000`)).toBeNull();
  });
  it.each([
    "avatars.example.com",
    "203.0.113.7",
    "172.32.0.1",
    "100.128.0.1",
    "11.0.0.1",
    "[2001:db8::1]",
    "10.example.com",
  ])("lets them reach %s", (host) => {
    expect(between("https://www.example.com/page", `https://${host}`)).toBeNull();
  });
  it("keeps secure pages from servers that are not", () => {
    for (const host of ["avatars.example.com", "192.168.1.7", "box.local"])
      expect(between("https://www.example.com/", `http://${host}`)).toBe("mixed-content");
    expect(between("https://box.local/", "http://192.168.1.7")).toBe("mixed-content");
    for (const host of ["localhost", "127.0.0.1", "[::1]"])
      expect(between("https://box.local/", `http://${host}:8000`)).toBeNull();
  });
  it("says nothing about pages without an address", () => {
    expect(between("file:///home/ann/page.html", "http://192.168.1.7")).toBeNull();
  });
});

describe("where a browser knows the permission", () => {
  afterEach(() => vi.unstubAllGlobals());
  const asked = (states: Record<string, string>): Promise<Barrier | null> => {
    vi.stubGlobal("location", new URL("https://www.example.com/"));
    const query = async ({ name }: { name: string }) => {
      if (!(name in states)) throw new TypeError("unknown");
      return { state: states[name] };
    };
    vi.stubGlobal("navigator", { permissions: { query } });
    return barrierTo("https://192.168.1.7/rooms/a/whep");
  };
  it("believes it", async () => {
    expect(await asked({ "local-network-access": "granted" })).toBeNull();
    expect(await asked({ "local-network": "granted", "loopback-network": "prompt" })).toBeNull();
    expect(await asked({ "local-network-access": "denied" })).toBe("local-network");
    expect(await asked({ "local-network-access": "prompt" })).toBe("local-network");
    expect(await asked({})).toBe("local-network");
  });
  it("finds none in Node", async () => {
    expect(await barrierTo("https://192.168.1.7")).toBeNull();
  });
});

it("goes on trying, and tells the barrier with each try", () => {
  const step = nextJoinStep({ kind: "unreachable", barrier: "local-network" }, 1, 1);
  expect(step).toEqual({
    state: { kind: "reconnecting", attempt: 2, barrier: "local-network" },
    retryInMs: 1000,
    attempt: 2,
  });
});

it("speaks the language of the page", () => {
  expect(textsFor("de").again).toBe("Erneut versuchen");
  expect(textsFor("de-AT").again).toBe("Erneut versuchen");
  for (const other of ["", "en", "den", "fr"]) expect(textsFor(other).again).toBe("Try again");
});
