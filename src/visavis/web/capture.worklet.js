// Runs on the audio thread: collects mono sound into pieces of about 40 ms and posts them without a copy. It is
// JavaScript, so that every bundler can hand it to the browser as it is.

const PIECE_S = 0.04;
const MAX_RATE_HZ = 48_000; // the highest rate that the channel takes; higher rates are averaged down by a whole factor

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.factor = Math.ceil(sampleRate / MAX_RATE_HZ);
    this.size = Math.round((sampleRate / this.factor) * PIECE_S);
    this.piece = new Float32Array(this.size);
    this.filled = 0;
    this.sum = 0;
    this.summed = 0;
  }

  process(inputs) {
    const channels = inputs[0] ?? [];
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      for (const channel of channels) this.sum += channel[i] / channels.length;
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

registerProcessor("capture", Capture);
