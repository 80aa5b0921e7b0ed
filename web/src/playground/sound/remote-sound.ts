// Measures the sound that the room sends: when it begins, for the latency figures, and its level, for the display.

import levelUrl from "./level.worklet.ts?worker&url";
import { SoundOnset } from "./sound-onset";

const LEVEL_EVERY_MS = 60; // as often as the display needs it

export class RemoteSound {
  private context: AudioContext | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private node: AudioWorkletNode | null = null;
  private waiting: MediaStream | null = null; // to be measured once a gesture allows sound
  private levelAtMs = 0;

  constructor(
    private readonly onset: (atMs: number) => void,
    private readonly level: (level: number) => void,
  ) {}

  /**
   * Measure this stream in place of the one before. Without `allowed` the browser blocks sound, and measuring starts
   * with `wake`.
   */
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
      if (nowMs - this.levelAtMs < LEVEL_EVERY_MS) return;
      this.levelAtMs = nowMs;
      this.level(event.data);
    };
    this.source = this.context.createMediaStreamSource(stream);
    this.source.connect(this.node);
    void this.context.resume();
  }

  /** The visitor has made a gesture, so the browser allows sound now. */
  wake(): void {
    if (this.waiting !== null) void this.listen(this.waiting, true);
    else if (this.context?.state === "suspended") void this.context.resume();
  }
}
