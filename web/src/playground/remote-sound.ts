// Listens to what the room sends, for the latency figures and the level that the page draws.

import levelUrl from "./level.worklet.ts?worker&url";
import { SoundOnset } from "./sound-onset";

export class RemoteSound {
  private context: AudioContext | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private node: AudioWorkletNode | null = null;

  constructor(
    private readonly onset: (atMs: number) => void,
    private readonly level: (level: number) => void,
  ) {}

  /** Listen to this stream instead of the one before. Where browsers hold sound back until a gesture, levels come after `wake`. */
  async listen(stream: MediaStream): Promise<void> {
    if (typeof AudioWorkletNode === "undefined" || stream.getAudioTracks().length === 0) return;
    if (this.context === null) {
      this.context = new AudioContext({ latencyHint: "interactive" });
      await this.context.audioWorklet.addModule(levelUrl);
    }
    this.source?.disconnect();
    this.node?.disconnect();
    const onsets = new SoundOnset();
    this.node = new AudioWorkletNode(this.context, "level", { numberOfOutputs: 0 });
    this.node.port.onmessage = (event: MessageEvent<number>) => {
      this.level(event.data);
      if (onsets.push(event.data, performance.now())) this.onset(performance.now());
    };
    this.source = this.context.createMediaStreamSource(stream);
    this.source.connect(this.node);
  }

  /** A gesture was made: sound may run now. */
  wake(): void {
    if (this.context?.state === "suspended") void this.context.resume();
  }
}
