// One WHEP connection (WebRTC-HTTP Egress Protocol, draft-ietf-wish-whep): the offer, the answer, the restart of ICE,
// and the DELETE request that leaves the room.

import { barrierTo } from "./barrier.js";
import type { JoinOutcome } from "./join-step.js";
import { FRAGMENT_TYPE, fragment, Trickle } from "./trickle.js";

export interface WhepConnection {
  peer: RTCPeerConnection;
  stream: MediaStream;
  leave(): void; // closes the connection and tells the server
  isKnown(): Promise<boolean | null>; // asks the server for this connection; null: it does not answer
  restart(): void; // looks for another path to the server; no effect if it does not agree
}

// The pool lets the browser look for its own addresses while the offer is on its way.
const CONFIGURATION: RTCConfiguration = { bundlePolicy: "max-bundle", iceCandidatePoolSize: 1 };

/** One step of the exchange, for a log. `status` is null if the server did not answer. */
export type WhepExchange =
  | { kind: "offered"; bytes: number }
  | { kind: "answered"; status: number | null; bytes: number; elapsedMs: number };

/** Parse `<turn:host>; rel="ice-server"; username="u"; credential="c"`. Commas separate several servers. */
export function parseIceLinks(link: string): RTCIceServer[] {
  return [...link.matchAll(/<([^>]+)>([^,]*)/g)].flatMap(([, url = "", rest = ""]) => {
    const parameter = (name: string): string | undefined => new RegExp(`;\\s*${name}="([^"]*)"`).exec(rest)?.[1];
    if (parameter("rel") !== "ice-server") return [];
    const username = parameter("username");
    const credential = parameter("credential");
    return [{ urls: url, ...(username !== undefined && credential !== undefined ? { username, credential } : {}) }];
  });
}

/** A connection that is being offered: what makes its offer works in threads of the browser meanwhile. */
export interface Offering {
  peer: RTCPeerConnection;
  stream: MediaStream;
  trickle: Trickle;
  offer: Promise<RTCSessionDescriptionInit>;
}

/** Whether this browser can connect to a room: some are built without WebRTC, or have it switched off. */
export function hasWebRtc(): boolean {
  return typeof RTCPeerConnection === "function";
}

/**
 * Begin an offer to receive sound and picture. A page that joins a room as soon as it opens calls this before anything
 * else: the browser's first connection takes longer than all the rest of the page's script.
 */
export function beginOffer(): Offering {
  const peer = new RTCPeerConnection(CONFIGURATION);
  const receivers = ["video", "audio"].map((kind) => peer.addTransceiver(kind, { direction: "recvonly" }).receiver);
  const stream = new MediaStream(receivers.map(({ track }) => track)); // which are muted until media come
  const trickle = new Trickle(peer);
  const offer = peer.createOffer();
  offer.catch(() => {}); // it fails where it is awaited, if it is
  return { peer, stream, trickle, offer };
}

/**
 * Offer to receive sound and picture. Return the connection once the answer is applied, or the reason why there is
 * none: then `offering` is closed. Never throws.
 *
 * The offer leaves at once, without candidates. The answer brings the ICE servers, so their credentials are fresh, and
 * then the browser looks for candidates. Those that the server can use follow (trickle ICE). Most connections need
 * none: the server learns the browser's address from its connectivity checks.
 */
export async function joinRoom(
  whepUrl: string,
  token: string,
  signal: AbortSignal,
  offering: Offering,
  exchanged: (exchange: WhepExchange) => void = () => {},
): Promise<WhepConnection | Exclude<JoinOutcome, { kind: "joined" }>> {
  const { peer, stream, trickle } = offering;
  let sentAtMs: number | null = null; // null until the offer is sent
  let resource: string | null = null; // the address of this connection on the server
  let isAnswered = false;
  try {
    const offer = await offering.offer;
    sentAtMs = performance.now();
    exchanged({ kind: "offered", bytes: offer.sdp?.length ?? 0 });
    const response = await fetch(whepUrl, {
      method: "POST",
      headers: { "content-type": "application/sdp", authorization: `Bearer ${token}` },
      body: offer.sdp ?? "",
      signal,
    });
    isAnswered = true;
    const answer = await response.text();
    const elapsedMs = performance.now() - sentAtMs;
    exchanged({ kind: "answered", status: response.status, bytes: answer.length, elapsedMs });
    if (!response.ok) {
      peer.close();
      const { status } = response;
      return { kind: "answered", status, retryAfterS: retryAfterS(response), endReason: endReason(status, answer) };
    }
    const location = response.headers.get("location");
    resource = location === null ? null : new URL(location, response.url).href;
    const iceServers = parseIceLinks(response.headers.get("link") ?? "");
    if (iceServers.length > 0) peer.setConfiguration({ ...CONFIGURATION, iceServers });
    await peer.setLocalDescription(offer);
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    const etag = response.headers.get("etag");
    if (resource !== null && etag !== null) trickle.begin({ resource, etag, token });
  } catch {
    if (!signal.aborted && sentAtMs !== null) {
      exchanged({ kind: "answered", status: null, bytes: 0, elapsedMs: performance.now() - sentAtMs });
    }
    peer.close();
    deleteResource(resource, token);
    return { kind: "unreachable", barrier: isAnswered || signal.aborted ? null : await barrierTo(whepUrl) };
  }
  let restarting = new AbortController();
  return {
    peer,
    stream,
    leave() {
      restarting.abort();
      deleteResource(resource, token); // first: the closing of the peer tells the server, too
      resource = null;
      peer.close();
    },
    isKnown: () => isKnown(resource, token),
    restart() {
      if (resource === null || peer.signalingState !== "stable") return;
      restarting.abort(); // the newest counts, here and on the server: an older one may wait for a path that is gone
      restarting = new AbortController();
      void restartIce(peer, resource, token, trickle, restarting.signal);
    },
  };
}

/** Begin a new ICE session (RFC 9725, section 4.3.3): DTLS and media go on, on whatever path it finds. Never throws. */
async function restartIce(
  peer: RTCPeerConnection,
  resource: string,
  token: string,
  trickle: Trickle,
  signal: AbortSignal,
): Promise<void> {
  try {
    const offer = await peer.createOffer({ iceRestart: true });
    const headers = { "content-type": FRAGMENT_TYPE, "if-match": "*", authorization: `Bearer ${token}` };
    const body = fragment(offer.sdp ?? "", []);
    const response = await fetch(resource, { method: "PATCH", headers, body, signal });
    const before = peer.remoteDescription?.sdp;
    const restarted = await response.text();
    if (signal.aborted || response.status !== 200 || before === undefined) return;
    const answer = answerWith(before, restarted);
    const iceServers = parseIceLinks(response.headers.get("link") ?? "");
    if (iceServers.length > 0) peer.setConfiguration({ ...CONFIGURATION, iceServers });
    trickle.restart();
    await peer.setLocalDescription(offer);
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    const etag = response.headers.get("etag");
    if (etag !== null) trickle.begin({ resource, etag, token });
  } catch {
    // the connection is closed, or the server does not answer: whoever has asked tries again
  }
}

/** The answer of a connection with the ICE credentials and candidates of a fragment in the place of its own. */
export function answerWith(answer: string, restarted: string): string {
  const lines = restarted.split("\r\n");
  const ufrag = lines.find((line) => line.startsWith("a=ice-ufrag:")) ?? "";
  const pwd = lines.find((line) => line.startsWith("a=ice-pwd:")) ?? "";
  const candidates = lines.filter((line) => line.startsWith("a=candidate:"));
  return answer
    .replace(/^a=(candidate:.*|end-of-candidates)\r\n/gm, "")
    .replace(/^a=ice-ufrag:.*/gm, () => ufrag)
    .replace(/^a=ice-pwd:.*/gm, () => pwd)
    .replace(/^a=ice-pwd:.*/m, () => [pwd, ...candidates].join("\r\n")); // all sections share the first one's path
}

/** Ask whether the server knows a connection: 204 if it does, 404 or 410 if not. Never throws. */
async function isKnown(resource: string | null, token: string): Promise<boolean | null> {
  if (resource === null) return null;
  try {
    const { status, ok } = await fetch(resource, { headers: { authorization: `Bearer ${token}` }, cache: "no-store" });
    return ok ? true : status === 404 || status === 410 ? false : null;
  } catch {
    return null;
  }
}

function deleteResource(resource: string | null, token: string): void {
  if (resource === null) return;
  // keepalive: the request also leaves a page that is being closed.
  const request = { method: "DELETE", headers: { authorization: `Bearer ${token}` }, keepalive: true };
  void fetch(resource, request).catch(() => {});
}

/** Why the session has ended, by the body of an answer. */
export function endReason(status: number, body: string): string | null {
  if (status !== 410) return null;
  try {
    const reason: unknown = JSON.parse(body)?.error?.details?.reason;
    return typeof reason === "string" ? reason : null;
  } catch {
    return null;
  }
}

function retryAfterS(response: Response): number | null {
  const seconds = Number.parseFloat(response.headers.get("retry-after") ?? "");
  return Number.isFinite(seconds) ? seconds : null;
}
