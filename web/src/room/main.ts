// The room page: shows one room to anyone who has its link and its token. It knows no API key and no session.

import { onNextFrame, playWithSound, showStream, standsStill, watchPlaying } from "@client/viewer/playback.js";
import { roomAddress } from "@client/viewer/room-address.js";
import { fetchPictureShape, RoomPicture } from "@client/viewer/room-picture.js";
import { RoomViewer } from "@client/viewer/room-viewer.js";
import { beginOffer, hasWebRtc, type Offering } from "@client/viewer/whep.js";
import { language, type PageState, texts, textsOf } from "./texts";

// Before anything else of the page: the browser makes the offer in its own threads while the rest is written.
const address = roomAddress(location);
let token = address.token;
const begun = token !== "" && hasWebRtc() ? beginOffer() : undefined;

const BAR_VISIBLE_MS = 3_000;

function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`room.html has no #${id}`);
  return found as T;
}

const room = element("room");
const video = element<HTMLVideoElement>("picture");
const composed = element<HTMLCanvasElement>("composed");
const headline = element("headline");
const detail = element("detail");
const badge = element("badge-text");
const told = element("told"); // read aloud by screen readers, and not seen
const tokenForm = element<HTMLFormElement>("token-form");
const tokenField = element<HTMLInputElement>("token");
const again = element<HTMLButtonElement>("again");
const unmute = element<HTMLButtonElement>("unmute");
const sound = element<HTMLButtonElement>("sound");
const full = element<HTMLButtonElement>("full");

let viewer: RoomViewer | null = null;
let wantsSound = true; // until the visitor mutes

// A transparent avatar shows what is behind this page: the page that holds it in a frame, or the scene of OBS. On its
// own the page keeps its background.
const embedded =
  window.top !== window.self || "obsstudio" in window || new URLSearchParams(location.search).get("ground") === "none";
const askShape = () => fetchPictureShape(address.roomUrl, token);
new RoomPicture(video, composed, askShape, (transparent) => {
  room.toggleAttribute("data-transparent", transparent);
  document.documentElement.toggleAttribute("data-see-through", transparent && embedded);
});

/** Write what the page says in all of its states. */
function write(): void {
  document.documentElement.lang = language;
  video.setAttribute("aria-label", texts.avatar);
  element("token-label").textContent = texts.token;
  element("join").textContent = texts.join;
  again.textContent = texts.again;
  element("bar").setAttribute("aria-label", texts.bar);
  full.setAttribute("aria-label", texts.fullScreen);
  full.title = `${texts.fullScreen} (F)`;
}

function show(state: PageState): void {
  const shown = textsOf(state);
  room.dataset.state = state.kind;
  badge.textContent = shown.badge;
  headline.textContent = shown.headline;
  detail.textContent = shown.detail;
  tell(shown.detail === "" ? shown.headline : `${shown.headline}. ${shown.detail}`);
  document.title = `${shown.badge} · Visavis`;
  tokenForm.hidden = state.kind !== "asking";
  again.hidden = state.kind !== "ended" && state.kind !== "refused";
  showUnmute();
  if (state.kind === "asking") tokenField.focus();
}

/** Tell a change of state to screen readers, once. */
function tell(text: string): void {
  if (told.textContent !== text) told.textContent = text;
}

function watch(begun?: Offering): void {
  viewer?.stop();
  if (token === "") {
    show({ kind: "asking", refused: false });
    return;
  }
  const current = new RoomViewer(
    `${address.roomUrl}/whep`,
    token,
    {
      state(state) {
        if (state.kind === "refused" && state.reason === "token") show({ kind: "asking", refused: true });
        else show(state);
        if (state.kind === "ended") video.srcObject = null;
      },
      weak(isWeak) {
        room.toggleAttribute("data-weak", isWeak && !embedded); // shows the bar: not in a frame, nor in OBS
        badge.textContent = isWeak ? texts.weak : texts.states.live.badge;
        tell(badge.textContent);
      },
      stream(stream) {
        showStream(video, stream);
        onNextFrame(video, () => current.frameShown());
        void playWithSound(video).then(showMuted);
      },
    },
    begun,
  );
  viewer = current;
  current.start();
}

function setMuted(muted: boolean): void {
  wantsSound = !muted;
  video.muted = muted;
  if (!muted || video.paused) void video.play().catch(() => {});
  showMuted();
}

function showMuted(): void {
  const action = video.muted ? texts.unmute : texts.mute;
  sound.setAttribute("aria-pressed", String(video.muted));
  sound.setAttribute("aria-label", action);
  sound.title = `${action} (M)`;
  showUnmute();
}

/** The button that a click is needed for: the picture is paused, or its sound blocked. */
function showUnmute(): void {
  const isPaused = standsStill(video);
  unmute.toggleAttribute("data-paused", isPaused);
  element("unmute-text").textContent = isPaused ? texts.play : texts.turnSoundOn;
  unmute.hidden = room.dataset.state !== "live" || !(isPaused || (video.muted && wantsSound));
}

async function toggleFullScreen(): Promise<void> {
  if (document.fullscreenElement !== null) await document.exitFullscreen();
  else if (document.fullscreenEnabled) await room.requestFullscreen();
  // On an iPhone only a video element can fill the screen.
  else (video as HTMLVideoElement & { webkitEnterFullscreen?: () => void }).webkitEnterFullscreen?.();
}

tokenForm.addEventListener("submit", (event) => {
  event.preventDefault();
  token = tokenField.value.trim();
  watch();
});
again.addEventListener("click", () => watch());
unmute.addEventListener("click", () => setMuted(!wantsSound));
watchPlaying(video, showUnmute, new AbortController().signal);
sound.addEventListener("click", () => setMuted(!video.muted));
full.addEventListener("click", () => void toggleFullScreen());
video.addEventListener("dblclick", () => void toggleFullScreen());
document.addEventListener("fullscreenchange", () => {
  full.setAttribute("aria-pressed", String(document.fullscreenElement !== null));
});
document.addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "m") setMuted(!video.muted);
  if (event.key === "f") void toggleFullScreen();
});

// The bar hides while the visitor does nothing. It stays visible while one of its buttons has the keyboard focus.
let hideTimer: ReturnType<typeof setTimeout>;
function showBar(): void {
  room.classList.remove("bar-hidden");
  clearTimeout(hideTimer);
  hideTimer = setTimeout(() => room.classList.add("bar-hidden"), BAR_VISIBLE_MS);
}
for (const kind of ["pointermove", "pointerdown", "keydown", "focusin"]) {
  document.addEventListener(kind, showBar, { passive: true });
}

addEventListener("pagehide", () => viewer?.stop());
addEventListener("pageshow", (event) => {
  if (event.persisted) watch();
});

write();
showMuted();
showBar();
watch(begun);
