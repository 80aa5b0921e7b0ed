// The avatar's picture and sound in one video element: joins the room, joins again, and composes transparent pictures.
// One element alone plays the sound, so that browsers cancel its echo.

import { onNextFrame, playWithSound, showStream, standsStill, watchPlaying } from "../viewer/playback.js";
import type { RoomState } from "../viewer/join-step.js";
import { fetchPictureShape, RoomPicture } from "../viewer/room-picture.js";
import { RoomViewer } from "../viewer/room-viewer.js";
import type { Tokens } from "./tokens.js";

export interface PictureEvents {
  state(state: RoomState): void;
  audible(isAudible: boolean): void; // false: the browser blocks sound until the visitor makes a gesture
  paused(isPaused: boolean): void; // true: the browser or the system has paused the picture
  transparent(isTransparent: boolean): void;
  weak(isWeak: boolean): void;
}

export interface PictureElements {
  video: HTMLVideoElement;
  canvas: HTMLCanvasElement;
}

export class Picture {
  private viewer: RoomViewer | null = null;
  private readonly shape: RoomPicture;
  private token = "";
  private renewed = false; // the token, since the room was last live
  private stopped = false;
  private isAudible = false;
  private isPaused = false;
  private readonly over = new AbortController();

  constructor(
    private readonly roomUrl: string,
    private readonly tokens: Tokens,
    private readonly elements: PictureElements,
    private wantsSound: boolean,
    private readonly events: PictureEvents,
  ) {
    const ask = () => fetchPictureShape(roomUrl, this.token);
    this.shape = new RoomPicture(elements.video, elements.canvas, ask, events.transparent);
    watchPlaying(elements.video, () => this.tellPaused(), this.over.signal);
  }

  /** Raises what `Tokens.get` raises. */
  async start(): Promise<void> {
    this.token = await this.tokens.get("watch");
    if (!this.stopped) this.watch();
  }

  /** `sessionIsOver`: the server needs not be told that the viewer leaves. Idempotent. */
  stop(sessionIsOver = false): void {
    this.stopped = true;
    this.over.abort();
    this.viewer?.stop(sessionIsOver);
    this.shape.stop();
    this.elements.video.srcObject = null;
  }

  get muted(): boolean {
    return !this.wantsSound;
  }

  get audible(): boolean {
    return this.isAudible;
  }

  get paused(): boolean {
    return this.isPaused;
  }

  async setMuted(muted: boolean): Promise<void> {
    this.wantsSound = !muted;
    await this.play();
  }

  private watch(): void {
    const viewer = new RoomViewer(`${this.roomUrl}/whep`, this.token, {
      state: (state) => {
        if (this.viewer === viewer) this.follow(state);
      },
      stream: (stream) => {
        showStream(this.elements.video, stream);
        onNextFrame(this.elements.video, () => viewer.frameShown());
        void this.play();
      },
      weak: (isWeak) => this.events.weak(isWeak),
    });
    this.viewer = viewer;
    viewer.start();
  }

  private follow(state: RoomState): void {
    if (state.kind === "live") this.renewed = false;
    if (state.kind === "refused" && state.reason === "token" && !this.renewed) {
      this.renewed = true;
      void this.rejoin(state);
    } else {
      this.events.state(state);
    }
  }

  private async rejoin(refused: RoomState): Promise<void> {
    const isNew = await this.tokens.renew("watch");
    if (this.stopped) return;
    if (!isNew) {
      this.events.state(refused);
      return;
    }
    this.token = await this.tokens.get("watch");
    this.watch();
  }

  /** Play, with sound if it is wanted and the browser allows it. */
  async play(): Promise<void> {
    const { video } = this.elements;
    if (this.wantsSound) {
      this.isAudible = await playWithSound(video);
    } else {
      video.muted = true;
      this.isAudible = false;
      await video.play().catch(() => {});
    }
    if (this.stopped) return;
    this.events.audible(this.isAudible);
    this.tellPaused(); // a browser that refuses to play sends no event
  }

  private tellPaused(): void {
    const isPaused = standsStill(this.elements.video);
    if (isPaused === this.isPaused) return;
    this.isPaused = isPaused;
    this.events.paused(isPaused);
  }
}
