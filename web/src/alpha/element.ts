// <visavis-avatar room="https://…/rooms/NAME#t=TOKEN">: shows a room in any page. In a transparent session the page
// behind the avatar shows.

import { onNextFrame, playWithSound, showStream } from "../viewer/playback";
import { roomAddress } from "../viewer/room-address";
import { fetchPictureShape, RoomPicture } from "../viewer/room-picture";
import { RoomViewer } from "../viewer/room-viewer";

const STYLE = `
:host { display: inline-block; position: relative; }
video, canvas {
  width: 100%; height: 100%; display: block;
  object-fit: var(--fit, contain); object-position: var(--position, 50% 100%);
}
video { position: absolute; inset: 0; }
canvas { position: relative; visibility: hidden; }
:host([transparent]) video { opacity: 0; }
:host([transparent]) canvas { visibility: visible; }
`;

/**
 * Attributes: `room`, the link to the room; `muted`. Properties: `muted`; `audible`, false while the browser blocks
 * sound (set `muted = false` in a gesture of the visitor). Event: `state`; its `detail` is `connecting`, `waiting`,
 * `live`, `reconnecting`, `ended` or `refused`.
 */
export class VisavisAvatar extends HTMLElement {
  static readonly observedAttributes = ["room", "muted"];
  private readonly video = document.createElement("video");
  private readonly canvas = document.createElement("canvas");
  private viewer: RoomViewer | null = null;
  private picture: RoomPicture | null = null;

  constructor() {
    super();
    const style = document.createElement("style");
    style.textContent = STYLE;
    this.video.playsInline = true;
    this.video.autoplay = true;
    this.attachShadow({ mode: "open" }).append(style, this.video, this.canvas);
  }

  get muted(): boolean {
    return this.video.muted;
  }

  set muted(muted: boolean) {
    this.video.muted = muted;
    if (!muted) void this.video.play().catch(() => {});
  }

  get audible(): boolean {
    return !this.video.muted && !this.video.paused;
  }

  connectedCallback(): void {
    this.watch();
  }

  disconnectedCallback(): void {
    this.leave();
  }

  attributeChangedCallback(name: string): void {
    if (name === "muted") this.video.muted = this.hasAttribute("muted");
    else if (this.isConnected) this.watch();
  }

  private leave(): void {
    this.viewer?.stop();
    this.picture?.stop();
    this.viewer = null;
    this.picture = null;
  }

  private watch(): void {
    this.leave();
    const link = this.getAttribute("room");
    if (link === null || link === "") return;
    const { roomUrl, token } = roomAddress(new URL(link, document.baseURI));
    const ask = () => fetchPictureShape(roomUrl, token);
    this.picture = new RoomPicture(this.video, this.canvas, ask, (transparent) => {
      this.toggleAttribute("transparent", transparent);
    });
    const viewer = new RoomViewer(`${roomUrl}/whep`, token, {
      state: (state) => this.dispatchEvent(new CustomEvent("state", { detail: state.kind })),
      stream: (stream) => {
        showStream(this.video, stream);
        onNextFrame(this.video, () => viewer.frameShown());
        if (this.hasAttribute("muted")) void this.video.play().catch(() => {});
        else void playWithSound(this.video);
      },
    });
    this.viewer = viewer;
    viewer.start();
  }
}
