// One WHEP connection (WebRTC-HTTP Egress Protocol, draft-ietf-wish-whep): offer, answer, and the DELETE that leaves.

import type { JoinOutcome } from "./join-step";

const GATHERING_LIMIT_MS = 1_000; // host candidates come at once; a browser that still looks for more does not hold up the picture

export interface WhepConnection {
  peer: RTCPeerConnection;
  stream: MediaStream;
  leave(): void; // closes, and tells the server
}

/** The ICE servers that a WHEP endpoint names in the Link headers of its OPTIONS answer; none where it names none. Never throws. */
export async function iceServersOf(whepUrl: string): Promise<RTCIceServer[]> {
  try {
    return parseIceLinks((await fetch(whepUrl, { method: "OPTIONS" })).headers.get("link") ?? "");
  } catch {
    return [];
  }
}

/** Reads `<turn:host>; rel="ice-server"; username="u"; credential="c"`, several separated by commas. */
export function parseIceLinks(link: string): RTCIceServer[] {
  return [...link.matchAll(/<([^>]+)>([^,]*)/g)].flatMap(([, url = "", rest = ""]) => {
    const parameter = (name: string): string | undefined => new RegExp(`;\\s*${name}="([^"]*)"`).exec(rest)?.[1];
    if (parameter("rel") !== "ice-server") return [];
    const username = parameter("username");
    const credential = parameter("credential");
    return [{ urls: url, ...(username !== undefined && credential !== undefined ? { username, credential } : {}) }];
  });
}

export type WhepExchange = (event: { kind: "offered"; bytes: number } | { kind: "answered"; status: number | null; bytes: number; elapsedMs: number }) => void;

/** Offer to receive sound and picture. Returns the connection once the answer is in place, or what kept it from that. Never throws. */
export async function joinRoom(
  whepUrl: string,
  token: string,
  iceServers: RTCIceServer[],
  signal: AbortSignal,
  exchanged: WhepExchange = () => {},
): Promise<WhepConnection | Exclude<JoinOutcome, { kind: "joined" }>> {
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers });
  const stream = new MediaStream();
  peer.addEventListener("track", (event) => stream.addTrack(event.track));
  peer.addTransceiver("video", { direction: "recvonly" });
  peer.addTransceiver("audio", { direction: "recvonly" });
  let sentAtMs = 0; // 0 until the offer has been sent
  let resource: string | null = null;
  try {
    await peer.setLocalDescription();
    await gathered(peer);
    const offer = peer.localDescription?.sdp ?? "";
    sentAtMs = performance.now();
    exchanged({ kind: "offered", bytes: offer.length });
    const response = await fetch(whepUrl, {
      method: "POST",
      headers: { "content-type": "application/sdp", authorization: `Bearer ${token}` },
      body: offer,
      signal,
    });
    const answer = await response.text();
    exchanged({ kind: "answered", status: response.status, bytes: answer.length, elapsedMs: performance.now() - sentAtMs });
    if (!response.ok) {
      peer.close();
      return { kind: "answered", status: response.status, retryAfterS: retryAfterS(response) };
    }
    const location = response.headers.get("location");
    resource = location === null ? null : new URL(location, response.url).href;
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
  } catch {
    if (!signal.aborted && sentAtMs > 0) exchanged({ kind: "answered", status: null, bytes: 0, elapsedMs: performance.now() - sentAtMs });
    peer.close();
    leaveResource(resource, token);
    return { kind: "unreachable" };
  }
  return {
    peer,
    stream,
    leave() {
      peer.close();
      leaveResource(resource, token);
      resource = null;
    },
  };
}

function leaveResource(resource: string | null, token: string): void {
  if (resource === null) return;
  // keepalive: this is also sent while the page goes away.
  void fetch(resource, { method: "DELETE", headers: { authorization: `Bearer ${token}` }, keepalive: true }).catch(() => {});
}

function retryAfterS(response: Response): number | null {
  const seconds = Number.parseFloat(response.headers.get("retry-after") ?? "");
  return Number.isFinite(seconds) ? seconds : null;
}

function gathered(peer: RTCPeerConnection): Promise<void> {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHERING_LIMIT_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}
