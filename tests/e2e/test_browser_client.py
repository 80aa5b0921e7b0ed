"""@visavis/client in a real Chromium, in the page of examples/browser, which is of another origin than the server; and
in Node.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio import run_process
from playwright.async_api import Browser, Page, Route, expect

import visavis
from tests.e2e.browser import BARRIERS, BLOCK_SOUND, CHROMIUM, chromium, opened_page
from tests.live_server import LiveServer
from tests.sweeps import HIGH_HZ, LOW_HZ, assert_whole, places_s

pytestmark = [pytest.mark.anyio, pytest.mark.browser]
in_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
in_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node on this machine")
TIMEOUT_MS = 30_000
WEB = Path(visavis.__file__).parent / "web"
WS = Path(__file__).parents[2] / "web" / "node_modules" / "ws"
EXAMPLE = Path(__file__).parents[2] / "examples" / "browser" / "serve.py"

# Notes every node of Web Audio that is connected to the speakers.
WATCH_SPEAKERS = """
window.toSpeakers = 0;
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) window.toSpeakers += 1;
  return connect.call(this, to, ...rest);
};
"""

# Measures what the avatar's element plays, in blocks of 10 ms, on the audio thread: its clock is that of the samples.
# `window.track` gives a tone while `window.tone(true)`, or a sweep of `tests.sweeps`. `window.heard(from)` returns the
# loud seconds since a block, `window.pitches()` the pitch of each loud block.
LISTEN = """
async () => {
  const meter = `registerProcessor("meter", class extends AudioWorkletProcessor {
    sum = 0; seen = 0; before = 0; crossings = [];
    process([[channel]]) {
      for (const sample of channel ?? new Float32Array(128)) {
        this.sum += sample * sample;
        if (this.before < 0 && sample >= 0) this.crossings.push(this.seen - sample / (sample - this.before));
        this.before = sample;
        if (++this.seen < 480) continue;
        const [turns, length] = [this.crossings.length - 1, this.crossings.at(-1) - this.crossings[0]];
        this.port.postMessage([Math.sqrt(this.sum / 480), turns > 0 ? 48000 * turns / length : 0]);
        this.sum = this.seen = 0;
        this.crossings = [];
      }
      return true;
    }
  });`;
  const context = new AudioContext({ sampleRate: 48000 });
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([meter], { type: "text/javascript" })));
  const element = document.querySelector("visavis-avatar");
  const video = element.shadowRoot.querySelector("video");
  const node = new AudioWorkletNode(context, "meter", { numberOfOutputs: 0 });
  window.blocks = [];
  const all = [];
  node.port.onmessage = ({ data: [level, pitch] }) => { window.blocks.push(level); all.push(pitch); };
  context.createMediaStreamSource(video.srcObject).connect(node);
  const sound = new OscillatorNode(context, { frequency: 330 });
  const volume = new GainNode(context, { gain: 0 });
  const out = context.createMediaStreamDestination();
  sound.connect(volume).connect(out);
  sound.start();
  window.track = out.stream.getAudioTracks()[0];
  window.tone = (on, afterS = 0) => volume.gain.setValueAtTime(on ? 0.3 : 0, context.currentTime + afterS);
  window.sweep = (low, high, afterS, seconds) => {
    const from = context.currentTime + afterS;
    sound.frequency.setValueAtTime(low, from);
    sound.frequency.linearRampToValueAtTime(high, from + seconds);
    volume.gain.setValueAtTime(0.3, from);
    volume.gain.setValueAtTime(0, from + seconds);
  };
  window.pitches = () => all.filter((_, at) => window.blocks[at] > 0.02);
  window.heard = (from) => window.blocks.slice(from).filter((level) => level > 0.02).length / 100;
  window.finished = [];
  element.addEventListener("message", ({ detail }) => {
    if (detail.type === "agent.playback.finished") window.finished.push(detail);
  });
}
"""

# Every element that plays sound, and how many nodes of Web Audio reach the speakers.
PLAYING = """
() => {
  const all = [...document.querySelectorAll("audio, video")];
  for (const host of document.querySelectorAll("*")) all.push(...(host.shadowRoot?.querySelectorAll("video") ?? []));
  return [all.filter((e) => !e.muted && !e.paused).map((e) => e.localName), window.toSpeakers];
}
"""


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def site(server: LiveServer) -> Iterator[str]:
    """The address of the example's page; each visit has a session of its own."""
    command = [sys.executable, str(EXAMPLE), "--key", server.key, "--base", server.base_url, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


# A page of the public web, over HTTPS, whose element shows a room at a private address.
PUBLIC, PRIVATE_ROOM = "https://www.example.com/", "http://10.255.255.1:8000/rooms/a#t=vvt_0"
PUBLIC_PAGE = f"""<!doctype html><html lang="LANGUAGE"><title>Public</title>
<script type="module" src="/client.js"></script><visavis-avatar room="{PRIVATE_ROOM}"></visavis-avatar></html>"""


@in_chromium
@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "This page is HTTPS, and the avatar's server is not"), ("de", "Diese Seite ist HTTPS")],
)
async def test_a_public_page_says_why_it_cannot_reach_a_private_server(
    browser: Browser, language: str, words: str
) -> None:
    context = await browser.new_context()
    page = await context.new_page()

    async def answer(route: Route) -> None:
        is_module = route.request.url.endswith(".js")
        module = (WEB / "client.js").read_text() if is_module else PUBLIC_PAGE.replace("LANGUAGE", language)
        await route.fulfill(body=module, content_type="text/javascript" if is_module else "text/html")

    try:
        await page.route(f"{PUBLIC}**", answer)
        await page.goto(PUBLIC)
        status = page.locator("visavis-avatar").get_by_role("status")
        await expect(status).to_contain_text(words, timeout=TIMEOUT_MS)
        await expect(page.locator("visavis-avatar")).to_have_attribute("state", "reconnecting")
    finally:
        await context.close()


@asynccontextmanager
async def visit(browser: Browser, site: str, http: httpx.AsyncClient, *, script: str = "") -> AsyncIterator[Page]:
    """Open the example's page and wait until its avatar is live. At the end its session ends."""
    # A viewer closes its connection and then tells the server, which mostly has noticed by then: 404.
    async with opened_page(browser, site, script=WATCH_SPEAKERS + script, expected="status of 404") as page:
        await expect(page.locator("visavis-avatar")).to_have_attribute("state", "live", timeout=TIMEOUT_MS)
        await expect(page.locator("#talk")).to_be_enabled(timeout=TIMEOUT_MS)
        session_id = await page.evaluate("document.querySelector('visavis-avatar').session")
        yield page
        async with page.expect_response(lambda response: response.request.method == "DELETE"):
            await page.evaluate("document.querySelector('visavis-avatar').remove()")
        await http.post(f"/v1/sessions/{session_id}/end")


async def wait(page: Page, condition: str) -> None:
    await page.wait_for_function(condition, timeout=TIMEOUT_MS)


@in_chromium
async def test_a_track_is_heard_from_the_avatar_alone(browser: Browser, site: str, http: httpx.AsyncClient) -> None:
    spoken_s = 1.5
    async with visit(browser, site, http) as page:
        await page.evaluate(LISTEN)
        muted: list[bool] = await page.evaluate(
            """async ([low, high, seconds]) => {
              const own = new Audio();  // as the examples of voice services play their track
              own.srcObject = new MediaStream([track]);
              document.body.append(own);
              await own.play();
              window.speech = await document.querySelector("visavis-avatar").speakFrom(track);
              sweep(low, high, 0.2, seconds);
              return [own.muted];
            }""",
            [LOW_HZ, HIGH_HZ, spoken_s],
        )
        await wait(page, "finished.length === 1")
        playing, to_speakers = await page.evaluate(PLAYING)
        await wait(page, "heard(blocks.length - 30) === 0")
        heard_s = places_s(await page.evaluate("pitches()"), spoken_s)
        played: dict[str, Any] = (await page.evaluate("finished"))[0]
        muted += await page.evaluate("() => { speech.stop(); return [document.querySelector('audio').muted]; }")
        assert await page.evaluate("track.readyState") == "live"
        assert await page.evaluate(BARRIERS) == []
    assert_whole(heard_s, spoken_s)
    assert 1.7 < played["position_s"] < 2.2 and not played["interrupted"], played  # with 0.1 s before and 0.4 s after
    assert (playing, to_speakers, muted) == (["video"], 0, [True, False])


@in_chromium
async def test_barge_in_leaves_nothing_over(browser: Browser, site: str, http: httpx.AsyncClient) -> None:
    async with visit(browser, site, http) as page:
        await page.evaluate(LISTEN)
        await page.evaluate("document.querySelector('visavis-avatar').speakFrom(track).then(() => tone(true))")
        await wait(page, "heard(0) > 0.4")
        at = await page.evaluate("document.querySelector('visavis-avatar').interrupt().then(() => blocks.length)")
        await wait(page, f"blocks.length > {at + 150}")  # the track goes on meanwhile
        left_over: float = await page.evaluate(f"heard({at + 50})")
        played: dict[str, Any] = (await page.evaluate("finished"))[0]
        await page.evaluate("tone(false); tone(true, 0.8); tone(false, 1.6)")  # after its silence it is heard again
        await wait(page, f"heard({at + 50}) > 0.5 && heard(blocks.length - 70) === 0")
        heard: float = await page.evaluate(f"heard({at + 50})")
    assert played["interrupted"] and left_over == 0
    assert abs(heard - 0.8) < 0.15, heard


@in_chromium
async def test_the_example_speaks_for_a_call_of_webrtc(
    browser: Browser, server: LiveServer, site: str, http: httpx.AsyncClient
) -> None:
    """And where the browser blocks sound, the element has a button. An API key is refused before anything is sent."""
    async with visit(browser, site, http, script=BLOCK_SOUND) as page:
        unmute = page.locator("visavis-avatar").get_by_role("button", name="Turn on sound")
        await expect(unmute).to_be_visible(timeout=TIMEOUT_MS)
        refused = await page.evaluate(
            """async ([server, key]) => {
              const { connect, ApiKeyRefused } = await import(`${server}/client.js`);
              const options = { server, session: "sess_x", tokens: { speak: key } };
              return connect(options).catch((error) => [error.name, error instanceof ApiKeyRefused]);
            }""",
            [server.base_url, server.key],
        )
        assert refused == ["ApiKeyRefused", True]
        await page.evaluate(LISTEN)
        await page.locator("#talk").click()
        await expect(unmute).to_be_hidden(timeout=TIMEOUT_MS)
        await wait(page, "heard(0) > 1")
        assert await page.evaluate(PLAYING) == [["video"], 0]


# Mounts and unmounts an avatar like an effect of React, at once (as StrictMode does) and half-way; the last one stays.
MOUNT_OFTEN = """
async ([server, room, session, tokens]) => {
  const { connect } = await import(`${server}/client.js`);
  const ended = [];
  const mount = (number) => {
    const leaving = new AbortController();
    const element = document.body.appendChild(document.createElement("div"));
    const on = { ended: () => ended.push(number) };
    const connected = connect({ server, room, session, tokens, element, muted: true, on, signal: leaving.signal });
    const unmount = async () => {
      leaving.abort();
      element.remove();
      await connected.then((avatar) => avatar.close(), () => {});
    };
    return { connected, unmount };
  };
  const unmounted = [];
  for (const afterMs of [0, 0, 10, 40, 100, 300]) {
    const { unmount } = mount(unmounted.length);
    if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
    unmounted.push(unmount());
  }
  const avatar = window.avatar = await mount("stays").connected;
  await Promise.all(unmounted);
  const { positionS } = await avatar.speak(new Int16Array(8_000).fill(1_000), 16_000);
  return [ended, positionS, document.querySelectorAll("video").length];
}
"""


@in_chromium
async def test_mounted_twice_as_react_does_there_is_one_viewer_and_one_channel(
    browser: Browser, server: LiveServer, http: httpx.AsyncClient
) -> None:
    created = (await http.post("/v1/sessions", json={"avatar": server.look})).json()["session"]
    address = f"/v1/sessions/{created['session_id']}"
    tokens = {}
    for purpose in ("watch", "speak"):
        made = await http.post(f"{address}/tokens", json={"purpose": purpose})
        tokens[purpose] = made.json()["token"]["token"]
    # Chromium reports each connection that is broken off.
    async with opened_page(browser, f"{server.base_url}/healthz", expected="") as page:
        options = [server.base_url, created["room"]["url"], created["session_id"], tokens]
        assert await page.evaluate(MOUNT_OFTEN, options) == [[0, 1, 2, 3, 4, 5], 0.5, 1]
        await wait(page, "avatar.state === 'live'")

        async def metrics() -> dict[str, Any]:
            return dict((await http.get(f"{address}/metrics")).json()["metrics"])

        live_s = (await metrics())["performed_s"]
        while (seen := await metrics())["performed_s"] < live_s + 2:  # noqa: ASYNC110 (the server is asked)
            await anyio.sleep(0.2)
        assert seen["viewers"]["watching"] == 1
        assert await page.evaluate("avatar.ended") is None
        await page.evaluate("avatar.close()")
    assert (await http.post(f"{address}/end")).json()["session"]["status"] == "ended"


IN_NODE = """
const [module, server, session, speak, control] = process.argv.slice(1);
const { connect } = await import(module);
const told = [];
const on = { ended: ({ reason }) => told.push(reason) };
const avatar = await connect({ server, session, tokens: { speak, control }, on });
const tone = Int16Array.from({ length: 12_000 }, (_, i) => 8_000 * Math.sin(i / 10));
async function* pieces() { yield tone.subarray(0, 5_000); yield tone.subarray(5_000); }
const played = await avatar.speak(pieces(), 24_000, { utteranceId: "u1" });
const ended = new Promise((resolve) => avatar.on("ended", resolve));
await avatar.end();
await ended;
console.log(JSON.stringify([played, told]));
"""


@in_node
async def test_pcm_is_spoken_from_node(server: LiveServer, http: httpx.AsyncClient, tmp_path: Path) -> None:
    created = (await http.post("/v1/sessions", json={"avatar": server.look})).json()["session"]["session_id"]
    tokens = []
    for purpose in ("speak", "control"):
        made = await http.post(f"/v1/sessions/{created}/tokens", json={"purpose": purpose})
        tokens.append(made.json()["token"]["token"])
    module = shutil.copy(WEB / "client.js", tmp_path / "client.mjs")
    lacks_socket = await run_process(
        ["node", "--eval", "process.exit(typeof WebSocket === 'undefined' ? 1 : 0)"], check=False
    )
    if lacks_socket.returncode:  # Node 20: the package ws has one
        if not WS.exists():
            pytest.skip("this Node has no WebSocket, and there is no package ws: run scripts/check-web")
        (tmp_path / "node_modules").mkdir()
        (tmp_path / "node_modules" / "ws").symlink_to(WS)
    command = ["node", "--input-type=module", "--eval", IN_NODE, "--"]
    done = await run_process(
        [*command, Path(module).as_uri(), server.base_url, created, *tokens], check=False, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout.decode()
    played, told = json.loads(done.stdout.splitlines()[-1])
    assert played == {"utteranceId": "u1", "positionS": 0.5, "interrupted": False}
    assert told == ["ended_by_client"]
