"""A WHEP viewer that uses GStreamer's webrtcbin, whose certificate is RSA.

It is a separate program for the system's Python, because ours does not have GStreamer's bindings. Arguments: the room's
WHEP address, its token, and the sections to offer, in order (`video`, `audio`, `data`; `h264`: video in that codec
alone). It leaves when it has decoded
moving pictures and speech of the kinds that it offers, or after 30 s. It prints JSON lines: `{"answer": 201}`,
`{"connection": "connected"}`, and at the end what was decoded.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # type: ignore[import-not-found]  # noqa: E402

TIMEOUT_MS = 30_000
PICTURES = 40
LOUD = 3000
RTP = {
    "video": "application/x-rtp,media=video,encoding-name=VP8,payload=101,clock-rate=90000",
    "h264": "application/x-rtp,media=video,encoding-name=H264,payload=101,clock-rate=90000",
    "audio": "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000",
}
DECODE = {
    "video": "queue ! rtpvp8depay ! vp8dec ! videoconvert ! video/x-raw,format=GRAY8",
    "audio": "queue ! rtpopusdepay ! opusdec ! audioconvert ! audio/x-raw,format=S16LE",
}


class Viewer:
    timeout_ms = TIMEOUT_MS

    def __init__(self, whep_url: str, token: str, kinds: list[str]) -> None:
        self._whep_url, self._kinds = whep_url, kinds
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        self._resource = ""
        self._loop = GLib.MainLoop()
        self._pipeline = Gst.Pipeline.new("viewer")
        self._peer = Gst.ElementFactory.make("webrtcbin", "peer")
        self._peer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self._pipeline.add(self._peer)
        self._before: bytes | None = None
        self._kept: list[Any] = []  # objects that GStreamer does not keep alive itself
        self.decoded = {"pictures": 0, "largest_change": 0.0, "brightest": 0, "blocks": 0, "peak": 0}

    def watch(self) -> None:
        self._peer.connect("pad-added", self._stream_came)
        self._peer.connect("notify::ice-gathering-state", self._gathered)
        self._peer.connect("notify::connection-state", self._connection_changed)
        bus = self._pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _, message: self._stop(message.parse_error()[0].message))
        self._pipeline.set_state(Gst.State.PLAYING)
        for kind in self._kinds:
            if kind == "data":
                self._kept.append(self._peer.emit("create-data-channel", "chat", None))
            else:
                caps = Gst.Caps.from_string(RTP[kind])
                self._peer.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, caps)
        self._peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self._offer_made))
        GLib.timeout_add(self.timeout_ms, self._loop.quit)
        self._loop.run()
        if self._resource:
            say(left=self._ask("DELETE", self._resource)[0])
        self._pipeline.set_state(Gst.State.NULL)

    def _offer_made(self, promise: Any) -> None:
        promise.wait()
        reply = promise.get_reply()  # owns the offer
        offer = reply.get_value("offer")
        applied = Gst.Promise.new()
        self._kept += [reply, offer, applied]
        self._peer.emit("set-local-description", offer, applied)

    def _gathered(self, peer: Any, _: Any) -> None:
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if self._resource or peer.get_property("ice-gathering-state") != complete:
            return
        self._exchange(peer.get_property("local-description").sdp.as_text())

    def _exchange(self, offer: str) -> None:
        self._answered(*self._ask("POST", self._whep_url, offer.encode()))

    def _answered(self, status: int, answer: str, resource: str) -> None:
        self._resource = resource
        say(answer=status)
        if status != 201:
            self._stop(answer)
            return
        _, parsed = GstSdp.SDPMessage.new_from_text(answer)
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        self._peer.emit(
            "set-remote-description", GstWebRTC.WebRTCSessionDescription.new(kind, parsed), Gst.Promise.new()
        )

    def _ask(self, method: str, url: str, body: bytes | None = None) -> tuple[int, str, str]:
        request = urllib.request.Request(url, body, self._headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                location = answer.headers["Location"]
                resource = urllib.parse.urljoin(self._whep_url, location) if location else ""
                return answer.status, answer.read().decode(), resource
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), ""

    def _connection_changed(self, peer: Any, _: Any) -> None:
        state = peer.get_property("connection-state").value_nick
        say(connection=state)
        if state == "failed":
            self._loop.quit()

    def _stream_came(self, _: Any, pad: Any) -> None:
        caps = pad.get_current_caps() or pad.query_caps(None)
        kind = caps.get_structure(0).get_string("media")
        decoder = Gst.parse_bin_from_description(f"{DECODE[kind]} ! fakesink name=end signal-handoffs=true", True)
        decoder.get_by_name("end").connect("handoff", self._picture_came if kind == "video" else self._block_came)
        self._pipeline.add(decoder)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))

    def _picture_came(self, _: Any, buffer: Any, __: Any) -> None:
        pixels = buffer.extract_dup(0, buffer.get_size())[::31]
        if self._before is not None:
            change = sum(abs(new - old) for new, old in zip(pixels, self._before, strict=False)) / len(pixels)
            self.decoded["largest_change"] = max(self.decoded["largest_change"], change)
        self._before = pixels
        self.decoded["brightest"] = max(self.decoded["brightest"], *pixels)
        self.decoded["pictures"] += 1
        self._leave_when_all_came()

    def _block_came(self, _: Any, buffer: Any, __: Any) -> None:
        samples = memoryview(buffer.extract_dup(0, buffer.get_size())).cast("h")
        self.decoded["peak"] = max(self.decoded["peak"], *map(abs, samples))
        self.decoded["blocks"] += 1
        self._leave_when_all_came()

    def _leave_when_all_came(self) -> None:
        seen = "video" not in self._kinds or self.decoded["pictures"] >= PICTURES
        heard = "audio" not in self._kinds or self.decoded["peak"] >= LOUD
        if seen and heard:
            self._loop.quit()

    def _stop(self, why: str) -> None:
        say(error=why)
        self._loop.quit()


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")  # at once: GStreamer's threads speak too
    sys.stdout.flush()


Gst.init(None)
if __name__ == "__main__":
    viewer = Viewer(sys.argv[1], sys.argv[2], sys.argv[3:])
    viewer.watch()
    say(**viewer.decoded)
