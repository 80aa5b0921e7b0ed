import { describe, expect, it } from "vitest";
import { fragment, isOfUse } from "../src/viewer/trickle.js";
import { answerWith } from "../src/viewer/whep.js";

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

describe("a restart of ICE", () => {
  it("puts the server's new credentials and candidates into its answer", () => {
    const section = (kind: string, candidates: string) =>
      `m=${kind} 9 X 96\r\na=ice-ufrag:old1\r\na=ice-pwd:old2\r\n${candidates}a=setup:passive\r\n`;
    const answer = `v=0\r\n${section("video", `a=${SRFLX}\r\na=end-of-candidates\r\n`)}${section("audio", "")}`;
    const found = "candidate:2 1 udp 7 192.0.2.9 50000 typ host";
    const credentials = "a=ice-ufrag:n$1w\r\na=ice-pwd:new2\r\n";
    const restarted = `m=video 9 X 0\r\na=mid:0\r\n${credentials}a=${found}\r\na=end-of-candidates\r\n`;
    expect(answerWith(answer, restarted)).toBe(
      "v=0\r\n" +
        `m=video 9 X 96\r\na=ice-ufrag:n$1w\r\na=ice-pwd:new2\r\na=${found}\r\na=setup:passive\r\n` +
        "m=audio 9 X 96\r\na=ice-ufrag:n$1w\r\na=ice-pwd:new2\r\na=setup:passive\r\n",
    );
  });
});
