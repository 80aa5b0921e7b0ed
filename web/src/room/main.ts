// The room page: shows one room to whoever has its link and its token. It knows no API key and no session.

import { RoomViewer } from "../shared/room-viewer";
import type { RoomState } from "../shared/join-step";
import { onNextFrame, playWithSound } from "../shared/play";
import { RoomPicture, pictureShape } from "../shared/room-picture";
import { roomFromLocation } from "./address";

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
const tokenForm = element<HTMLFormElement>("token-form");
const tokenField = element<HTMLInputElement>("token");
const again = element<HTMLButtonElement>("again");
const unmute = element<HTMLButtonElement>("unmute");
const sound = element<HTMLButtonElement>("sound");
const full = element<HTMLButtonElement>("full");

const address = roomFromLocation(location);
let token = address.token;
let viewer: RoomViewer | null = null;

// A transparent avatar stands before whatever is behind this page: in a frame of another page, or in OBS. By itself the page has a ground of its own.
const embedded = window.top !== window.self || "obsstudio" in window || new URLSearchParams(location.search).get("ground") === "none";
new RoomPicture(video, composed, () => pictureShape(address.whepUrl.replace(/\/whep$/, ""), token), (transparent) => {
  room.toggleAttribute("data-transparent", transparent);
  document.documentElement.toggleAttribute("data-see-through", transparent && embedded);
});

interface Words {
  badge: string;
  headline: string;
  detail: string;
}

function words(state: RoomState | { kind: "asking"; refused: boolean }): Words {
  switch (state.kind) {
    case "connecting":
      return { badge: "Connecting", headline: "Connecting", detail: "" };
    case "waiting":
      return { badge: "Waiting", headline: "Waiting for the avatar", detail: "It appears here as soon as its session starts." };
    case "live":
      return { badge: "Live", headline: "Live", detail: "" };
    case "reconnecting":
      return {
        badge: "Reconnecting",
        headline: "Reconnecting",
        detail: state.attempt > 2 ? "The server does not answer. This page keeps trying." : "The connection was interrupted.",
      };
    case "ended":
      return { badge: "Ended", headline: "This session has ended", detail: "The room is closed. You can close this page." };
    case "refused":
      return { badge: "Error", headline: "This browser cannot show the room", detail: "The server refused its offer. Another browser may work." };
    case "asking":
      return state.refused
        ? { badge: "Locked", headline: "That token does not open this room", detail: "Tokens are made for one room each. Check that it was copied whole." }
        : { badge: "Locked", headline: "This room needs its token", detail: "Paste the token that came with the link." };
  }
}

function show(state: RoomState | { kind: "asking"; refused: boolean }): void {
  const text = words(state);
  room.dataset.state = state.kind;
  badge.textContent = text.badge;
  headline.textContent = text.headline;
  detail.textContent = text.detail;
  document.title = `${text.badge} · Visavis`;
  tokenForm.hidden = state.kind !== "asking";
  again.hidden = state.kind !== "ended" && state.kind !== "refused";
  if (state.kind !== "live") unmute.hidden = true;
  if (state.kind === "asking") tokenField.focus();
}

function watch(): void {
  viewer?.stop();
  if (token === "") {
    show({ kind: "asking", refused: false });
    return;
  }
  const current = new RoomViewer(address.whepUrl, token, {
    state(state) {
      if (state.kind === "refused" && state.reason === "token") show({ kind: "asking", refused: true });
      else show(state);
      if (state.kind === "ended") video.srcObject = null;
    },
    stream(stream) {
      video.srcObject = stream;
      onNextFrame(video, () => current.frameShown());
      void playWithSound(video).then((audible) => {
        unmute.hidden = audible;
        showSound();
      });
    },
  });
  viewer = current;
  current.start();
}

function setMuted(muted: boolean): void {
  video.muted = muted;
  if (!muted) {
    unmute.hidden = true;
    void video.play().catch(() => {});
  }
  showSound();
}

function showSound(): void {
  sound.setAttribute("aria-pressed", String(video.muted));
  sound.setAttribute("aria-label", video.muted ? "Unmute" : "Mute");
  sound.title = `${video.muted ? "Unmute" : "Mute"} (M)`;
}

async function toggleFullScreen(): Promise<void> {
  if (document.fullscreenElement !== null) await document.exitFullscreen();
  else if (document.fullscreenEnabled) await room.requestFullscreen();
  else (video as HTMLVideoElement & { webkitEnterFullscreen?: () => void }).webkitEnterFullscreen?.(); // iPhone: only a video may fill the screen
}

tokenForm.addEventListener("submit", (event) => {
  event.preventDefault();
  token = tokenField.value.trim();
  watch();
});
again.addEventListener("click", watch);
unmute.addEventListener("click", () => setMuted(false));
sound.addEventListener("click", () => setMuted(!video.muted));
full.addEventListener("click", () => void toggleFullScreen());
video.addEventListener("dblclick", () => void toggleFullScreen());
document.addEventListener("fullscreenchange", () => full.setAttribute("aria-pressed", String(document.fullscreenElement !== null)));
document.addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "m") setMuted(!video.muted);
  if (event.key === "f") void toggleFullScreen();
});

// The bar rests while nobody moves; a keyboard's focus brings it back.
let restTimer: ReturnType<typeof setTimeout>;
function wake(): void {
  room.classList.remove("resting");
  clearTimeout(restTimer);
  restTimer = setTimeout(() => room.classList.add("resting"), 3_000);
}
for (const kind of ["pointermove", "pointerdown", "keydown", "focusin"]) document.addEventListener(kind, wake, { passive: true });

addEventListener("pagehide", () => viewer?.stop());
addEventListener("pageshow", (event) => {
  if (event.persisted) watch();
});

wake();
watch();
