"""Chromium and Firefox join rooms with every form of offer that a page can choose."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import pytest

from tests.e2e.browser import CHROMIUM, chromium, opened_page
from tests.e2e.firefox import FIREFOX, firefox
from tests.e2e.wire_session import running_session
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


class Page(Protocol):
    """What the pages of both browsers have in common."""

    async def evaluate(self, function: str, argument: Any, /) -> Any: ...


OpenPage = Callable[[str], AbstractAsyncContextManager[Page]]

# Joins a room by WHEP in the form that `wanted` tells; waits for media of each kind, and leaves. Returns what came.
JOIN = """
async ([whep, token, wanted]) => {
  const peer = new RTCPeerConnection({ bundlePolicy: wanted.bundle ?? "balanced" });
  if (wanted.data) peer.createDataChannel("chat");
  const playing = [];
  peer.addEventListener("track", ({ track }) => {
    const element = document.createElement(track.kind);
    element.muted = true;
    element.srcObject = new MediaStream([track]);
    document.body.append(element);
    playing.push(element.play());
  });
  for (const kind of wanted.kinds) {
    const transceiver = peer.addTransceiver(kind, { direction: wanted.direction ?? "recvonly" });
    if (wanted.codec && kind === "video") {
      const all = RTCRtpReceiver.getCapabilities("video").codecs;
      transceiver.setCodecPreferences(all.filter((one) => one.mimeType === wanted.codec));
    }
  }
  await peer.setLocalDescription();
  const headers = { "content-type": "application/sdp", authorization: `Bearer ${token}` };
  const answer = await fetch(whep, { method: "POST", headers, body: peer.localDescription.sdp });
  if (answer.status !== 201) {
    peer.close();
    return { status: answer.status, problem: await answer.json() };
  }
  const resource = new URL(answer.headers.get("location"), whep);
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  const came = async () => {
    const found = {};
    for (const one of (await peer.getStats()).values())
      if (one.type === "inbound-rtp") found[one.kind] = one.kind === "video" ? one.framesDecoded : one.packetsReceived;
    return found;
  };
  let found = await came();
  while (!wanted.kinds.every((kind) => found[kind] >= 5)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    found = await came();
  }
  const directions = peer.getTransceivers().map((one) => one.currentDirection);
  await fetch(resource, { method: "DELETE", headers });
  peer.close();
  return { status: 201, came: found, directions };
}
"""
BOTH = ["video", "audio"]
FORMS: dict[str, dict[str, Any]] = {
    "max-bundle": {"kinds": BOTH, "bundle": "max-bundle"},
    "balanced": {"kinds": BOTH, "bundle": "balanced"},
    "max-compat": {"kinds": BOTH, "bundle": "max-compat"},
    "sound first": {"kinds": ["audio", "video"]},
    "a data channel": {"kinds": BOTH, "data": True},
    "video alone": {"kinds": ["video"]},
    "sound alone": {"kinds": ["audio"]},
    "sendrecv": {"kinds": BOTH, "direction": "sendrecv"},
}


@asynccontextmanager
async def in_chromium(url: str) -> AsyncIterator[Page]:
    refused = "responded with a status of 4"  # an offer, and the icon of a page that has none
    async with chromium() as browser, opened_page(browser, url, expected=refused) as page:
        yield page


@asynccontextmanager
async def in_firefox(url: str) -> AsyncIterator[Page]:
    async with firefox() as browser, browser.opened_page(url) as page:
        yield page


CHROMIUM_IS_MISSING = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
FIREFOX_IS_MISSING = pytest.mark.skipif(FIREFOX is None, reason="there is no Firefox on this machine")


@pytest.mark.parametrize(
    ("opened", "other_codec"),
    [
        pytest.param(in_chromium, "video/H264", id="chromium", marks=CHROMIUM_IS_MISSING),
        pytest.param(in_firefox, "video/VP9", id="firefox", marks=FIREFOX_IS_MISSING),  # Debian's has no H.264
    ],
)
async def test_every_form_of_offer_gets_its_media_or_a_reason(
    server: LiveServer, sessions: SessionClient, opened: OpenPage, other_codec: str
) -> None:
    async with running_session(server, sessions) as (session, _), opened(session["daily_room"]["url"]) as page:
        whep, token = f"{session['daily_room']['url']}/whep", session["daily_room"]["token"]
        for name, form in FORMS.items():
            joined = await page.evaluate(JOIN, [whep, token, form])
            assert joined["status"] == 201, (name, joined)
            assert all(joined["came"][kind] >= 5 for kind in form["kinds"]), (name, joined)
            assert set(joined["directions"]) == {"recvonly"}, (name, joined)
        refused = await page.evaluate(JOIN, [whep, token, {"kinds": BOTH, "codec": other_codec}])
        assert (refused["status"], refused["problem"]["error"]["code"]) == (400, "OFFER_REFUSED"), refused
        assert "does not include VP8" in refused["problem"]["error"]["message"]
