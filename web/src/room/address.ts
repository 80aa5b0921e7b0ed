// What the address of a room page says: where to join, and with which token.

export interface RoomAddress {
  whepUrl: string;
  token: string; // "" where the address has none
}

/** Reads `/rooms/{name}` with its token as `#token=`, `#t=`, `?t=` or `?token=`; a fragment, which servers never see, wins. */
export function roomFromLocation(location: { origin: string; pathname: string; search: string; hash: string }): RoomAddress {
  const fragment = new URLSearchParams(location.hash.replace(/^#/, ""));
  const query = new URLSearchParams(location.search);
  const token = fragment.get("token") ?? fragment.get("t") ?? query.get("t") ?? query.get("token") ?? "";
  return { whepUrl: `${location.origin}${location.pathname.replace(/\/+$/, "")}/whep`, token: token.trim() };
}
