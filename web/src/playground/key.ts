// The API key: from the address's fragment, which servers never see, or asked for; kept for this tab only.

const STORED_AS = "visavis.key";

/** Take `#key=` out of the address bar and keep it; else what this tab has kept; else "". */
export function takeKey(): string {
  const fragment = new URLSearchParams(location.hash.replace(/^#/, ""));
  const given = fragment.get("key")?.trim();
  if (given !== undefined && given !== "") {
    history.replaceState(null, "", location.pathname + location.search);
    keepKey(given);
    return given;
  }
  try {
    return sessionStorage.getItem(STORED_AS) ?? "";
  } catch {
    return "";
  }
}

export function keepKey(key: string): void {
  try {
    if (key === "") sessionStorage.removeItem(STORED_AS);
    else sessionStorage.setItem(STORED_AS, key);
  } catch {
    // Storage may be forbidden; the key then lasts as long as the page.
  }
}

/** Enough of a key to know it by. */
export function keyHint(key: string): string {
  return key.length > 14 ? `${key.slice(0, 8)}…${key.slice(-4)}` : key;
}
