// The API key: taken from the address's fragment, which is never sent to a server, and kept for this browser tab only.

const STORAGE_KEY = "visavis.key";

/** Take the key from `#key=` and remove it from the address bar; else read the stored key; else return "". */
export function takeKey(): string {
  const fragment = new URLSearchParams(location.hash.replace(/^#/, ""));
  const given = fragment.get("key")?.trim();
  if (given !== undefined && given !== "") {
    history.replaceState(null, "", location.pathname + location.search);
    storeKey(given);
    return given;
  }
  try {
    return sessionStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    return "";
  }
}

/** Store the key for this tab; "" removes it. */
export function storeKey(key: string): void {
  try {
    if (key === "") sessionStorage.removeItem(STORAGE_KEY);
    else sessionStorage.setItem(STORAGE_KEY, key);
  } catch {
    // The browser may forbid storage. The key then lasts until the page is closed.
  }
}

/** The key's first and last letters: enough to recognise it, too few to use it. */
export function keyHint(key: string): string {
  return key.length > 14 ? `${key.slice(0, 8)}…${key.slice(-4)}` : key;
}
