// Sends the browser's candidates to the server as they are found: trickle ICE over WHEP (RFC 9725, RFC 8840).

export const FRAGMENT_TYPE = "application/trickle-ice-sdpfrag";
const RESTART_MS = 5_000; // so long a new ICE session is taken to be connecting

interface IceSession {
  resource: string; // the address of the connection on the server
  etag: string;
  token: string;
}

export class Trickle {
  private readonly waiting: RTCIceCandidate[] = [];
  private session: IceSession | null = null; // set by the answer
  private sending = false;
  private restartedAtMs = Number.NEGATIVE_INFINITY;

  /** Collects the candidates that `peer` finds from now on. */
  constructor(private readonly peer: RTCPeerConnection) {
    peer.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate === null || !isOfUse(candidate.candidate)) return;
      this.waiting.push(candidate);
      void this.send();
    });
  }

  begin(session: IceSession): void {
    this.session = session;
    void this.send();
  }

  /** Keep the candidates of the next ICE session until it begins. */
  restart(): void {
    this.session = null;
    this.waiting.length = 0;
    this.restartedAtMs = performance.now();
  }

  /** Send what waits, one request at a time. A connected peer needs no further candidates. */
  private async send(): Promise<void> {
    if (this.session === null || this.sending) return;
    this.sending = true;
    const { resource, etag, token } = this.session;
    while (this.waiting.length > 0 && this.connects()) {
      const headers = {
        "content-type": FRAGMENT_TYPE,
        "if-match": etag,
        authorization: `Bearer ${token}`,
      };
      const body = fragment(this.peer.localDescription?.sdp ?? "", this.waiting.splice(0));
      await fetch(resource, { method: "PATCH", headers, body }).catch(() => {}); // the browser's own checks go on
    }
    this.sending = false;
  }

  private connects(): boolean {
    const { connectionState } = this.peer;
    const restarted = performance.now() < this.restartedAtMs + RESTART_MS;
    return connectionState === "new" || connectionState === "connecting" || restarted;
  }
}

/** Whether the server can use a candidate: it checks no TCP candidates and no host names, such as those of mDNS. */
export function isOfUse(candidate: string): boolean {
  return /^candidate:\S+ 1 udp \S+ [\da-f.:]+ /i.test(candidate);
}

/** The fragment of SDP (RFC 8840, section 9) that carries credentials and candidates of one ICE session. */
export function fragment(offer: string, candidates: Pick<RTCIceCandidate, "candidate" | "sdpMid">[]): string {
  const credentials = ["ice-ufrag", "ice-pwd"].map((name) => new RegExp(`^a=${name}:\\S+`, "m").exec(offer)?.[0]);
  const lines = [
    ...credentials,
    "m=video 9 UDP/TLS/RTP/SAVPF 0",
    `a=mid:${candidates[0]?.sdpMid ?? "0"}`, // all sections share one transport
    ...candidates.map(({ candidate }) => `a=${candidate}`),
  ];
  return lines.filter((line) => line !== undefined).join("\r\n") + "\r\n";
}
