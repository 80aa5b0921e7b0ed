// What browsers put between a page and a server, whether or not the server runs. A page sees nothing but a failed
// request; what it could be follows from the two addresses.

/**
 * `mixed-content`: the page is HTTPS and the server is not. `local-network`: the page is on the public web and the
 * server at a private address, which browsers allow only where the visitor does.
 */
export type Barrier = "mixed-content" | "local-network";

type Place = Pick<URL, "protocol" | "hostname">;

const PERMISSIONS = ["local-network-access", "local-network", "loopback-network"]; // as Chromium has called it
const HOUSE_DOMAINS = [".local", ".lan", ".internal", ".home.arpa"];
const V4 = /^\d+(\.\d+){3}$/; // as URLs write every such address
// What the browsers' rule calls local, and what else no public address has.
const PRIVATE_V4 = /^(0|10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./;
const PRIVATE_V6 = /^\[(::1?|f[cd][0-9a-f]{2}:.*|fe[89ab][0-9a-f]:.*)\]$/;

/** Tell what may stand between a page and a server. Pure. */
export function barrierBetween(page: Place, server: Place): Barrier | null {
  if (page.protocol !== "http:" && page.protocol !== "https:") return null;
  if (page.protocol === "https:" && server.protocol === "http:" && !isLoopback(server.hostname)) return "mixed-content";
  return isPrivate(server.hostname) && !isPrivate(page.hostname) ? "local-network" : null;
}

/** Tell what may stand between this page and a server; null in Node, and where the visitor has allowed it. */
export async function barrierTo(address: string): Promise<Barrier | null> {
  if (typeof location === "undefined") return null;
  const found = barrierBetween(location, new URL(address));
  return found !== null && (await isAllowed()) ? null : found;
}

async function isAllowed(): Promise<boolean> {
  for (const name of PERMISSIONS) {
    try {
      const { state } = await navigator.permissions.query({ name: name as PermissionName });
      if (state === "granted") return true;
    } catch {
      // this browser does not know it by this name
    }
  }
  return false;
}

function isLoopback(host: string): boolean {
  if (V4.test(host)) return host.startsWith("127.");
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]";
}

/** A name without a dot is one of a house; what another name leads to, a page cannot know. */
function isPrivate(host: string): boolean {
  if (V4.test(host)) return PRIVATE_V4.test(host);
  if (host.startsWith("[")) return PRIVATE_V6.test(host);
  return !host.includes(".") || isLoopback(host) || HOUSE_DOMAINS.some((domain) => host.endsWith(domain));
}
