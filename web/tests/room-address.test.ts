import { expect, it } from "vitest";
import { roomFromLocation } from "../src/room/address";

const at = (pathname: string, search = "", hash = "") => roomFromLocation({ origin: "https://host", pathname, search, hash });

it("finds the room's WHEP address beside its page, below any prefix", () => {
  expect(at("/rooms/calm-owl").whepUrl).toBe("https://host/rooms/calm-owl/whep");
  expect(at("/avatars/rooms/calm-owl/").whepUrl).toBe("https://host/avatars/rooms/calm-owl/whep");
});

it("takes the token from the fragment or the query, the fragment first", () => {
  expect(at("/rooms/a", "?t=eyJ1").token).toBe("eyJ1");
  expect(at("/rooms/a", "?token=eyJ1").token).toBe("eyJ1");
  expect(at("/rooms/a", "", "#t=eyJ2").token).toBe("eyJ2");
  expect(at("/rooms/a", "?t=eyJ1", "#token=eyJ2").token).toBe("eyJ2");
  expect(at("/rooms/a").token).toBe("");
});
