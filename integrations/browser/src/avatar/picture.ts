// The avatar's picture and sound in one video element: joins the room, joins again, and composes transparent pictures.
// One element alone plays the sound, so that browsers cancel its echo.

import { onNextFrame, playWithSound, showStream } from "../viewer/playback.js";
import type { RoomState } from "../viewer/join-step.js";
import { fetchPictureShape, RoomPicture } from "../viewer/room-picture.js";
import { RoomViewer } from "../viewer/room-viewer.js";
import type { Tokens } from "./tokens.js";

export interface PictureEvents {
  state(state: RoomState): void;
  audible(isAudible: boolean): void; // false: the browser blocks sound until the visitor makes a gesture
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

  constructor(
    private readonly roomUrl: string,
    private readonly tokens: Tokens,
    private readonly elements: PictureElements,
    private wantsSound: boolean,
    private readonly events: PictureEvents,
  ) {
    const ask = () => fetchPictureShape(roomUrl, this.token);
    this.shape = new RoomPicture(elements.video, elements.canvas, ask, events.transparent);
  }

  /** Raises what `Tokens.get` raises. */
  async start(): Promise<void> {
    this.token = await this.tokens.get("watch");
    if (!this.stopped) this.watch();
  }

  /** `sessionIsOver`: the server needs not be told that the viewer leaves. Idempotent. */
  stop(sessionIsOver = false): void {
    this.stopped = true;
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

  private async play(): Promise<void> {
    const { video } = this.elements;
    if (this.wantsSound) {
      this.isAudible = await playWithSound(video);
    } else {
      video.muted = true;
      this.isAudible = false;
      await video.play().catch(() => {});
    }
    if (!this.stopped) this.events.audible(this.isAudible);
  }
}
