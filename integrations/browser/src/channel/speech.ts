// What a client may give to be spoken, and its pieces as bytes of PCM16.

import { floatToPcm16, pcm16Bytes } from "../sound/pcm.js";
import { InvalidSound } from "./errors.js";
import type { Alphabet, Phoneme } from "./messages.js";

/** Mono sound: samples of 16 bits, floats from -1 to 1, or the bytes of PCM16, little-endian. */
export type Pcm = Int16Array | Float32Array | Uint8Array | ArrayBuffer;

/** A piece of sound with its timings, which begin with the piece. */
export interface TimedPcm {
  pcm: Pcm;
  phonemes: Phoneme[];
  alphabet?: Alphabet;
}

/** Sound as a whole, or in pieces as a synthesiser makes them. */
export type Speech = Pcm | TimedPcm | Iterable<Pcm | TimedPcm> | AsyncIterable<Pcm | TimedPcm> | ReadableStream<Pcm>;

/** One message of speech. */
export interface SpeechPiece {
  bytes: Uint8Array;
  phonemes?: Phoneme[];
  alphabet?: Alphabet;
}

const PIECE_S = 0.25; // of sound without timings, in one message
const MIN_RATE_HZ = 8_000;
const MAX_RATE_HZ = 48_000;

/** Raises InvalidSound. There is no default rate: a wrong one is heard as a wrong voice. */
export function checkedRate(sampleRateHz: number): number {
  if (!Number.isInteger(sampleRateHz) || sampleRateHz < MIN_RATE_HZ || sampleRateHz > MAX_RATE_HZ) {
    throw new InvalidSound(`The sample rate is an integer from 8000 to 48000, not ${String(sampleRateHz)}`);
  }
  return sampleRateHz;
}

/** Yield the messages of `speech` in order. Raises InvalidSound. */
export async function* piecesOf(speech: Speech, sampleRateHz: number): AsyncGenerator<SpeechPiece, void> {
  for await (const part of partsOf(speech)) {
    if (isTimed(part)) {
      const { phonemes, alphabet } = part;
      yield { bytes: bytesOf(part.pcm), phonemes, ...(alphabet === undefined ? {} : { alphabet }) };
      continue;
    }
    const bytes = bytesOf(part);
    const size = 2 * Math.round(sampleRateHz * PIECE_S);
    for (let begin = 0; begin < bytes.length; begin += size) yield { bytes: bytes.subarray(begin, begin + size) };
  }
}

async function* partsOf(speech: Speech): AsyncGenerator<Pcm | TimedPcm, void> {
  if (isPcm(speech) || isTimed(speech)) yield speech;
  else if (isReadable(speech)) yield* chunksOf(speech);
  else if (typeof speech === "object" && speech !== null) yield* speech;
  else throw new InvalidSound("Speech is PCM, or pieces of it");
}

/** Read a stream. Not every browser iterates over one. */
async function* chunksOf(stream: ReadableStream<Pcm>): AsyncGenerator<Pcm, void> {
  const reader = stream.getReader();
  let done = false;
  try {
    for (;;) {
      const chunk = await reader.read();
      done = chunk.done;
      if (chunk.value === undefined) return;
      yield chunk.value;
    }
  } finally {
    if (!done) await reader.cancel().catch(() => {});
  }
}

function bytesOf(pcm: Pcm): Uint8Array {
  if (pcm instanceof Int16Array) return pcm16Bytes(pcm);
  if (pcm instanceof Float32Array) return pcm16Bytes(floatToPcm16(pcm));
  if (pcm instanceof Uint8Array) return pcm;
  if (pcm instanceof ArrayBuffer) return new Uint8Array(pcm);
  throw new InvalidSound("A piece of speech is an Int16Array, a Float32Array, or bytes of PCM16");
}

function isPcm(speech: Speech): speech is Pcm {
  return ArrayBuffer.isView(speech) || speech instanceof ArrayBuffer;
}

function isTimed(speech: Speech): speech is TimedPcm {
  return typeof speech === "object" && speech !== null && "pcm" in speech && "phonemes" in speech;
}

function isReadable(speech: Speech): speech is ReadableStream<Pcm> {
  return typeof speech === "object" && speech !== null && "getReader" in speech;
}
