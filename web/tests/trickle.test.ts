import { describe, expect, it } from "vitest";
import { fragment, isOfUse } from "../src/viewer/trickle";

const SRFLX = "candidate:1 1 udp 1686052607 192.0.2.1 61764 typ srflx raddr 0.0.0.0 rport 0";

describe("trickled candidates", () => {
  it("are those that the server can check", () => {
    expect(isOfUse(SRFLX)).toBe(true);
    expect(isOfUse("candidate:1 1 UDP 2122252543 2001:db8::7 50000 typ host")).toBe(true);
    expect(isOfUse("candidate:1 1 udp 2113937151 0f5bd1a5-21dc-4ffc.local 50000 typ host")).toBe(false);
    expect(isOfUse("candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active")).toBe(false);
    expect(isOfUse("")).toBe(false); // the end of candidates
  });
  it("travel with the credentials of their ICE session", () => {
    const offer = "v=0\r\na=group:BUNDLE v a\r\nm=video 9 X 96\r\na=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\n";
    expect(fragment(offer, [{ candidate: SRFLX, sdpMid: "v" }])).toBe(
      `a=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:v\r\na=${SRFLX}\r\n`,
    );
  });
});
