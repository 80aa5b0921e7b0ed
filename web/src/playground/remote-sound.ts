// Listens to what the room sends, for the latency figures and the level that the page draws.

import levelUrl from "./level.worklet.ts?worker&url";
import { SoundOnset } from "./sound-onset";

const LEVEL_EVERY_MS = 60; // for the eye

export class RemoteSound {
  private context: AudioContext | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private node: AudioWorkletNode | null = null;
  private waiting: MediaStream | null = null; // until a gesture allows sound
  private drawnAtMs = 0;

  constructor(
    private readonly onset: (atMs: number) => void,
    private readonly level: (level: number) => void,
  ) {}

  /** Listen to this stream instead of the one before; where the browser holds sound back (`allowed` is false), as soon as `wake` is called. */
  async listen(stream: MediaStream, allowed: boolean): Promise<void> {
    this.waiting = allowed ? null : stream;
    if (!allowed || typeof AudioWorkletNode === "undefined" || stream.getAudioTracks().length === 0) return;
    if (this.context === null) {
      const context = new AudioContext({ latencyHint: "interactive" });
      await context.audioWorklet.addModule(levelUrl);
      this.context = context;
    }
    this.source?.disconnect();
    this.node?.disconnect();
    const onsets = new SoundOnset();
    this.node = new AudioWorkletNode(this.context, "level", { numberOfOutputs: 0 });
    this.node.port.onmessage = (event: MessageEvent<number>) => {
      const nowMs = performance.now();
      if (onsets.push(event.data, nowMs)) this.onset(nowMs);
      if (nowMs - this.drawnAtMs < LEVEL_EVERY_MS) return;
      this.drawnAtMs = nowMs;
      this.level(event.data);
    };
    this.source = this.context.createMediaStreamSource(stream);
    this.source.connect(this.node);
    void this.context.resume();
  }

  /** A gesture was made: sound may run now. */
  wake(): void {
    if (this.waiting !== null) void this.listen(this.waiting, true);
    else if (this.context?.state === "suspended") void this.context.resume();
  }
}
