// Samples: conversions between Web Audio's floats and the wire's mono PCM16, little-endian.

const FULL_SCALE = 32_767;

/** Convert floats in [-1, 1] to PCM16. Values beyond that range are clipped. */
export function floatToPcm16(samples: Float32Array): Int16Array {
  const pcm = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    const sample = samples[i] ?? 0;
    pcm[i] = Math.round(Math.max(-1, Math.min(1, sample)) * FULL_SCALE);
  }
  return pcm;
}

/** Return the mean of all channels. The channels have one length. */
export function mixToMono(channels: Float32Array[]): Float32Array {
  const first = channels[0];
  if (first === undefined) return new Float32Array(0);
  if (channels.length === 1) return first;
  const mono = new Float32Array(first.length);
  for (const channel of channels) {
    for (let i = 0; i < mono.length; i++) mono[i] = (mono[i] ?? 0) + (channel[i] ?? 0) / channels.length;
  }
  return mono;
}

/** Return PCM16 as little-endian bytes, whatever the machine's byte order. */
export function pcm16Bytes(pcm: Int16Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(pcm.length * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < pcm.length; i++) view.setInt16(i * 2, pcm[i] ?? 0, true);
  return bytes;
}

export function bytesToBase64(bytes: Uint8Array): string {
  let text = "";
  const step = 0x8000; // every engine takes this many arguments in one call
  for (let i = 0; i < bytes.length; i += step) text += String.fromCharCode(...bytes.subarray(i, i + step));
  return btoa(text);
}

/** Split into pieces of `size` samples. The last piece may be shorter. */
export function splitPcm(pcm: Int16Array, size: number): Int16Array[] {
  const pieces: Int16Array[] = [];
  for (let i = 0; i < pcm.length; i += size) pieces.push(pcm.subarray(i, i + size));
  return pieces;
}

/** The root mean square, as a fraction of full scale. */
export function rms(pcm: Int16Array): number {
  if (pcm.length === 0) return 0;
  let sum = 0;
  for (const sample of pcm) sum += (sample / FULL_SCALE) ** 2;
  return Math.sqrt(sum / pcm.length);
}
