import { expect, it } from "vitest";
import { roomAddress } from "../src/viewer/room-address.js";

const at = (pathname: string, search = "", hash = "") =>
  roomAddress({ origin: "https://host", pathname, search, hash });

it("reads the room's address, below any prefix", () => {
  expect(at("/rooms/calm-owl").roomUrl).toBe("https://host/rooms/calm-owl");
  expect(at("/avatars/rooms/calm-owl/").roomUrl).toBe("https://host/avatars/rooms/calm-owl");
});

it("takes the token from the fragment or the query, the fragment first", () => {
  expect(at("/rooms/a", "?t=eyJ1").token).toBe("eyJ1");
  expect(at("/rooms/a", "?token=eyJ1").token).toBe("eyJ1");
  expect(at("/rooms/a", "", "#t=eyJ2").token).toBe("eyJ2");
  expect(at("/rooms/a", "?t=eyJ1", "#token=eyJ2").token).toBe("eyJ2");
  expect(at("/rooms/a").token).toBe("");
});
