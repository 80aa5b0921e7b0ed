// What the address shows: a view, an id within it, and filters. `#/sessions/sess_…`, `#/keys?account_id=acct_…`.

const VIEWS = ["sessions", "avatars", "accounts", "keys", "plans", "webhooks", "capacity", "audit"] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  view: View;
  id: string; // "" for the whole list
  filters: Record<string, string>;
}

/** Read a fragment. An unknown one is the first view. */
export function readRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [name, id = ""] = path.split("/", 2);
  const view = VIEWS.find((one) => one === name);
  if (view === undefined) return { view: VIEWS[0], id: "", filters: {} };
  return { view, id: decoded(id), filters: Object.fromEntries(new URLSearchParams(query)) };
}

/** Write a fragment. Filters that are empty are left out. */
export function addressOf(view: View, id = "", filters: Record<string, string> = {}): string {
  const set = Object.entries(filters).filter(([, value]) => value !== "");
  const query = set.length === 0 ? "" : `?${new URLSearchParams(set)}`;
  return `#/${view}${id === "" ? "" : `/${encodeURIComponent(id)}`}${query}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
