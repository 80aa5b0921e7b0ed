// The timings of speech services, each as its documents show them, as the channel's phonemes. Pure.

import type { Phoneme } from "../channel/messages.js";
import { inOrder, ofWords, type Pronounce, shared, type TimedWord, type Timings } from "./phonemes.js";

/** ElevenLabs: `alignment` of /with-timestamps, or of a message of the WebSocket. */
export type ElevenLabsAlignment =
  | { characters: string[]; character_start_times_seconds: number[]; character_end_times_seconds: number[] }
  | { chars: string[]; charStartTimesMs: number[]; charDurationsMs: number[] };

/** ElevenLabs times letters. They become words, and with `pronounce` phones. */
export function fromElevenLabs(alignment: ElevenLabsAlignment, pronounce?: Pronounce): Timings {
  const letters: TimedWord[] =
    "chars" in alignment
      ? alignment.chars.map((word, i) => {
          const startMs = alignment.charStartTimesMs[i] ?? 0;
          return { word, startMs, endMs: startMs + (alignment.charDurationsMs[i] ?? 0) };
        })
      : alignment.characters.map((word, i) => ({
          word,
          startMs: 1000 * (alignment.character_start_times_seconds[i] ?? 0),
          endMs: 1000 * (alignment.character_end_times_seconds[i] ?? 0),
        }));
  const words: TimedWord[] = [];
  let open: TimedWord | null = null;
  for (const letter of letters) {
    if (/^\s*$/.test(letter.word)) open = null;
    else if (open === null) words.push((open = { ...letter }));
    else {
      open.word += letter.word;
      open.endMs = letter.endMs;
    }
  }
  return ofWords(words, pronounce);
}

/** Azure: what `visemeReceived` tells. `audioOffset` counts ticks of 100 ns. */
export interface AzureViseme {
  audioOffset: number;
  visemeId: number;
}

/** Azure tells where each viseme begins; it ends where the next one begins, the last one at `endMs`. */
export function fromAzure(visemes: readonly AzureViseme[], endMs?: number): Timings {
  const starts = visemes.map(({ audioOffset }) => audioOffset / 10_000);
  const phonemes = visemes.map(({ visemeId }, i): Phoneme => {
    const start_ms = starts[i] ?? 0;
    return { symbol: visemeId, start_ms, end_ms: starts[i + 1] ?? endMs ?? start_ms };
  });
  return { alphabet: "sapi", phonemes: inOrder(phonemes) };
}

/** Inworld: `timestampInfo`, with `timestampType: "WORD"`. */
export interface InworldTimestampInfo {
  wordAlignment?: {
    phoneticDetails?: {
      phones: { phoneSymbol: string; startTimeSeconds: number; durationSeconds: number }[];
    }[];
  };
}

/** Inworld times phones in IPA. */
export function fromInworld({ wordAlignment }: InworldTimestampInfo): Timings {
  const phones = (wordAlignment?.phoneticDetails ?? []).flatMap((detail) => detail.phones);
  const phonemes = phones
    .filter(({ phoneSymbol }) => !phoneSymbol.startsWith("[")) // [silence]
    .map(({ phoneSymbol, startTimeSeconds, durationSeconds }) => ({
      symbol: phoneSymbol,
      start_ms: 1000 * startTimeSeconds,
      end_ms: 1000 * (startTimeSeconds + durationSeconds),
    }));
  return { alphabet: "ipa", phonemes: inOrder(phonemes) };
}

/** Cartesia: `word_timestamps` or `phoneme_timestamps` of a message. */
export type CartesiaTimestamps =
  | { words: string[]; start: number[]; end: number[] }
  | { phonemes: string[]; start: number[]; end: number[] };

/** Cartesia times words, or with `add_phoneme_timestamps` phones in IPA. */
export function fromCartesia(timestamps: CartesiaTimestamps, pronounce?: Pronounce): Timings {
  const { start, end } = timestamps;
  if ("words" in timestamps) {
    const words = timestamps.words.map((word, i) => ({
      word,
      startMs: 1000 * (start[i] ?? 0),
      endMs: 1000 * (end[i] ?? 0),
    }));
    return ofWords(words, pronounce);
  }
  const phonemes = timestamps.phonemes.map((symbol, i) => ({
    symbol,
    start_ms: 1000 * (start[i] ?? 0),
    end_ms: 1000 * (end[i] ?? 0),
  }));
  return { alphabet: "ipa", phonemes: inOrder(phonemes) };
}

/** Kokoro: a token of its pipeline with its own phones, or a word of Kokoro-FastAPI's /dev/captioned_speech. */
export type KokoroToken =
  | { text: string; phonemes: string | null; start_ts: number | null; end_ts: number | null }
  | { word: string; start_time: number; end_time: number };

/** Kokoro's letters for diphthongs and for sounds that IPA writes otherwise (misaki). */
const KOKORO: Record<string, string> = {
  ...{ A: "eɪ", I: "aɪ", O: "oʊ", Q: "əʊ", W: "aʊ", Y: "ɔɪ" },
  ...{ T: "ɾ", ᵊ: "ə" },
};

/** Kokoro's pipeline knows the phones of each word; for words alone `pronounce` finds them. */
export function fromKokoro(tokens: readonly KokoroToken[], pronounce?: Pronounce): Timings {
  const words: TimedWord[] = [];
  const phonemes: Phoneme[] = [];
  for (const token of tokens) {
    if ("word" in token) {
      words.push({ word: token.word, startMs: 1000 * token.start_time, endMs: 1000 * token.end_time });
    } else if (token.phonemes !== null && token.start_ts !== null && token.end_ts !== null) {
      const letters = [...token.phonemes].filter((letter) => /\p{L}/u.test(letter) && !/\p{Lm}/u.test(letter));
      const phones = letters.map((letter) => KOKORO[letter] ?? letter);
      const weightOf = (phone: string): number => (/[aeiouæɑɐɒɔəɛɜɪʊʌᵻ]/.test(phone) ? 2 : 1);
      phonemes.push(...shared(phones, 1000 * token.start_ts, 1000 * token.end_ts, weightOf));
    }
  }
  return words.length > 0 ? ofWords(words, pronounce) : { alphabet: "ipa", phonemes: inOrder(phonemes) };
}
