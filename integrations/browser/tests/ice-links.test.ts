import { expect, it } from "vitest";
import { parseIceLinks } from "../src/viewer/whep.js";

it("reads the ICE servers of a Link header", () => {
  const link =
    '<stun:stun.example.net>; rel="ice-server", ' +
    '<turn:turn.example.net?transport=udp>; rel="ice-server"; ' +
    'username="user"; credential="pass"; credential-type="password"';
  expect(parseIceLinks(link)).toEqual([
    { urls: "stun:stun.example.net" },
    { urls: "turn:turn.example.net?transport=udp", username: "user", credential: "pass" },
  ]);
});

it("ignores every other link", () => {
  expect(parseIceLinks("")).toEqual([]);
  expect(parseIceLinks('</docs>; rel="help"')).toEqual([]);
});
