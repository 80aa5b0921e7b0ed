// Runs on the audio thread: collects mono sound into pieces of about 40 ms and posts them without a copy.

interface WorkletScope {
  sampleRate: number;
  registerProcessor(name: string, processor: unknown): void;
}
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
const scope = globalThis as unknown as WorkletScope;

const PIECE_S = 0.04;
const MAX_RATE_HZ = 48_000; // the highest rate that the channel takes; higher rates are averaged down by a whole factor

class Capture extends AudioWorkletProcessor {
  private readonly factor = Math.ceil(scope.sampleRate / MAX_RATE_HZ);
  private readonly size = Math.round((scope.sampleRate / this.factor) * PIECE_S);
  private piece = new Float32Array(this.size);
  private filled = 0;
  private sum = 0;
  private summed = 0;

  process(inputs: Float32Array[][]): boolean {
    const channels = inputs[0] ?? [];
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      for (const channel of channels) this.sum += (channel[i] ?? 0) / channels.length;
      this.summed += 1;
      if (this.summed < this.factor) continue;
      this.piece[this.filled] = this.sum / this.summed;
      this.sum = 0;
      this.summed = 0;
      this.filled += 1;
      if (this.filled < this.size) continue;
      this.port.postMessage(this.piece, [this.piece.buffer]);
      this.piece = new Float32Array(this.size);
      this.filled = 0;
    }
    return true;
  }
}

scope.registerProcessor("capture", Capture);

export {}; // makes this file a module, so that its names stay in it
