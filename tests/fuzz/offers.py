"""Offers and candidates as nobody writes them in good faith: real ones with changes, and texts of their words."""

from __future__ import annotations

from hypothesis import strategies as st

# What a browser offers, shortened.
OFFER = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS
m=video 9 UDP/TLS/RTP/SAVPF 96 97 103
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:sXJ3
a=ice-pwd:yEclOTrLg1gEubBFefOqtmyV
a=ice-options:trickle
a=fingerprint:sha-256 22:14:B5:AF:66:12:C7:C7:8D:EF:4B:DE:40:25:ED:5D:8F:17:54:DD:88:33:C0:13:2E:FD:1A:FA:7E:7A:1B:79
a=setup:actpass
a=mid:0
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:103 H264/90000
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0 network-id 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:sXJ3
a=ice-pwd:yEclOTrLg1gEubBFefOqtmyV
a=fingerprint:sha-256 22:14:B5:AF:66:12:C7:C7:8D:EF:4B:DE:40:25:ED:5D:8F:17:54:DD:88:33:C0:13:2E:FD:1A:FA:7E:7A:1B:79
a=setup:actpass
a=mid:1
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=recvonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:sXJ3
a=ice-pwd:yEclOTrLg1gEubBFefOqtmyV
a=setup:actpass
a=mid:2
a=sctp-port:5000
""".splitlines()

_NAMES = [line.partition(":")[0] for line in OFFER if line.startswith("a=")]
_VALUES = [value for line in OFFER if (value := line.partition(":")[2])]
_TEXTS = st.text(max_size=40) | st.sampled_from(
    [
        "",
        " ",
        "0",
        "-1",
        "65535",
        "65536",
        "99999999999999999999",
        "\0",
        "%00",
        "é",
        "٢",
        "a" * 300,
        "*",
        "/",
        "1.2.3.4",
    ]
)
_NUMBERS = st.integers(-1, 2**33).map(str)
LINES = (
    st.sampled_from(OFFER)
    | st.builds(lambda name, value: f"{name}:{value}", st.sampled_from(_NAMES), st.sampled_from(_VALUES) | _TEXTS)
    | st.builds(lambda kind, value: f"{kind}={value}", st.sampled_from("vostcmabz"), _TEXTS)
    | st.builds(
        lambda kind, port, rest: f"m={kind} {port} UDP/TLS/RTP/SAVPF {rest}",
        st.sampled_from(["video", "audio", "application", "text", "message"]),
        _NUMBERS,
        st.lists(_NUMBERS, max_size=4).map(" ".join) | _TEXTS,
    )
    | st.builds(lambda number, value: f"a=rtpmap:{number} {value}", _NUMBERS, st.sampled_from(["VP8/90000", "x/1"]))
    | st.builds(lambda number, value: f"a=extmap:{number} {value}", _NUMBERS, st.sampled_from(_VALUES))
    | _TEXTS
)


@st.composite
def _changed(draw: st.DrawFn) -> str:
    """Change a few lines of an offer: replace, remove, repeat or swap them, or a part of one."""
    lines = list(OFFER)
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 5)):
            case 0:
                lines[at] = draw(LINES)
            case 1:
                del lines[at]
            case 2:
                lines[at:at] = [lines[at]] * draw(st.sampled_from([1, 2, 20]))
            case 3:
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case 4:
                words = lines[at].split(" ")
                words[draw(st.integers(0, len(words) - 1))] = draw(_NUMBERS | _TEXTS)
                lines[at] = " ".join(words)
            case _:
                lines.insert(at, draw(LINES))
        lines = lines or ["v=0"]
    return draw(st.sampled_from(["\r\n", "\n", "\r\n "])).join([*lines, ""])


def offers() -> st.SearchStrategy[str]:
    """Texts that may be offers."""
    return _changed() | st.lists(LINES, max_size=30).map(lambda lines: "\r\n".join(["v=0", *lines]))


def fragments() -> st.SearchStrategy[str]:
    """Texts that may be candidates which come later."""
    candidate = st.builds(
        lambda words: "a=candidate:" + " ".join(words),
        st.tuples(
            st.sampled_from(["1", "x" * 40, ""]),
            st.sampled_from(["1", "2", "x"]),
            st.sampled_from(["udp", "UDP", "tcp", ""]),
            _NUMBERS,
            st.ip_addresses().map(str) | st.sampled_from(["a.local", "::", "fe80::1%eth0"]) | _TEXTS,
            _NUMBERS,
            st.just("typ"),
            st.sampled_from(["host", "srflx", "prflx", "relay", "x"]),
        ),
    )
    return st.lists(candidate | LINES, max_size=12).map("\r\n".join)
