// Runs on the audio thread: posts the level (RMS) of the sound once every 512 samples, which are 10.7 ms at 48 kHz.

interface WorkletScope {
  registerProcessor(name: string, processor: unknown): void;
}
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

const WINDOW = 512;

class Level extends AudioWorkletProcessor {
  private sum = 0;
  private seen = 0;

  process(inputs: Float32Array[][]): boolean {
    const channel = inputs[0]?.[0];
    if (channel === undefined) return true;
    for (const sample of channel) this.sum += sample * sample;
    this.seen += channel.length;
    if (this.seen >= WINDOW) {
      this.port.postMessage(Math.sqrt(this.sum / this.seen));
      this.sum = 0;
      this.seen = 0;
    }
    return true;
  }
}

(globalThis as unknown as WorkletScope).registerProcessor("level", Level);

export {}; // makes this file a module, so that its names stay in it
