// <visavis-avatar room="https://…/rooms/NAME#t=TOKEN">: a room in any page, see-through where its session is.

import { RoomPicture, pictureShape } from "../shared/room-picture";
import { RoomViewer } from "../shared/room-viewer";
import { onNextFrame, playWithSound } from "../shared/play";
import { roomFromLocation } from "../room/address";

const STYLE = `
:host { display: inline-block; position: relative; }
video, canvas { width: 100%; height: 100%; object-fit: var(--fit, contain); object-position: var(--position, 50% 100%); display: block; }
video { position: absolute; inset: 0; }
canvas { position: relative; visibility: hidden; }
:host([transparent]) video { opacity: 0; }
:host([transparent]) canvas { visibility: visible; }
`;

/**
 * Attributes: `room`, the link that shows the room; `muted`. Properties: `muted`, and `audible`, false while the browser holds sound back until a gesture
 * (then set `muted = false` in one). Events: `state`, its detail being `connecting`, `waiting`, `live`, `reconnecting`, `ended` or `refused`.
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
    this.viewer = this.picture = null;
  }

  private watch(): void {
    this.leave();
    const link = this.getAttribute("room");
    if (link === null || link === "") return;
    const { whepUrl, token } = roomFromLocation(new URL(link, document.baseURI));
    this.picture = new RoomPicture(this.video, this.canvas, () => pictureShape(whepUrl.replace(/\/whep$/, ""), token), (transparent) =>
      this.toggleAttribute("transparent", transparent),
    );
    const viewer = new RoomViewer(whepUrl, token, {
      state: (state) => this.dispatchEvent(new CustomEvent("state", { detail: state.kind })),
      stream: (stream) => {
        this.video.srcObject = stream;
        onNextFrame(this.video, () => viewer.frameShown());
        if (this.hasAttribute("muted")) void this.video.play().catch(() => {});
        else void playWithSound(this.video);
      },
    });
    this.viewer = viewer;
    viewer.start();
  }
}
