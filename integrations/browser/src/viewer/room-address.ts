// The address of a room page: where the room is joined, and the token that opens it.

interface RoomAddress {
  roomUrl: string;
  token: string; // "" if the address has none
}

/** Read `/rooms/{name}` with its token as `#token=`, `#t=`, `?t=` or `?token=`. The fragment comes first. */
export function roomAddress(location: Pick<URL, "origin" | "pathname" | "search" | "hash">): RoomAddress {
  const fragment = new URLSearchParams(location.hash.replace(/^#/, ""));
  const query = new URLSearchParams(location.search);
  const token = fragment.get("token") ?? fragment.get("t") ?? query.get("t") ?? query.get("token") ?? "";
  return { roomUrl: `${location.origin}${location.pathname.replace(/\/+$/, "")}`, token: token.trim() };
}
