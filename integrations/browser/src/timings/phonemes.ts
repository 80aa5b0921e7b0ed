// Timings as the channel takes them, and the way from words to phones. Pure.

import type { Alphabet, Phoneme } from "../channel/messages.js";

/** What `speak` takes beside `pcm`. Without phonemes the lips follow the sound. */
export interface Timings {
  alphabet: Alphabet;
  phonemes: Phoneme[];
}

/** A word with its times in ms from the start of its sound. */
export interface TimedWord {
  word: string;
  startMs: number;
  endMs: number;
}

/** Return the phones of a word, in ARPAbet; null for a word that is not known. */
export type Pronounce = (word: string) => readonly string[] | null;

/** How long a phone is beside others of its word: vowels are about twice as long as consonants. */
const VOWEL_SHARE = 2;
const VOWEL = /^[AEIOU]/;

/**
 * Share the time of each word among its phones. One word that `pronounce` does not know makes the result empty: half
 * of a sentence with silent lips is worse than lips that follow the sound.
 */
export function ofWords(words: readonly TimedWord[], pronounce: Pronounce | undefined): Timings {
  const phonemes: Phoneme[] = [];
  for (const { word, startMs, endMs } of words) {
    const letters = word.toLowerCase().replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "");
    if (letters === "") continue; // a pause
    const phones = pronounce?.(letters) ?? null;
    if (phones === null) return { alphabet: "arpabet", phonemes: [] };
    phonemes.push(...shared(phones, startMs, endMs, (phone) => (VOWEL.test(phone) ? VOWEL_SHARE : 1)));
  }
  return { alphabet: "arpabet", phonemes: inOrder(phonemes) };
}

/** Share a time among phones by their weights. */
export function shared(
  phones: readonly string[],
  startMs: number,
  endMs: number,
  weightOf: (phone: string) => number,
): Phoneme[] {
  const sum = phones.reduce((total, phone) => total + weightOf(phone), 0);
  let passed = 0;
  return phones.map((symbol) => {
    const start = startMs + ((endMs - startMs) * passed) / sum;
    passed += weightOf(symbol);
    return { symbol, start_ms: start, end_ms: startMs + ((endMs - startMs) * passed) / sum };
  });
}

/** Whole milliseconds, in order, without overlaps and without phones that take no time: as the channel wants them. */
export function inOrder(phonemes: readonly Phoneme[]): Phoneme[] {
  let end = 0;
  return [...phonemes]
    .sort((one, other) => one.start_ms - other.start_ms)
    .map(({ symbol, start_ms, end_ms }) => {
      const start = Math.max(end, Math.round(start_ms));
      end = Math.max(start, Math.round(end_ms));
      return { symbol, start_ms: start, end_ms: end };
    })
    .filter(({ start_ms, end_ms }) => end_ms > start_ms);
}

/**
 * Read a pronouncing dictionary in the form of the CMU Pronouncing Dictionary (`hello  HH AH0 L OW1`; BSD licence,
 * https://github.com/cmusphinx/cmudict). The first pronunciation of a word counts.
 */
export function readDictionary(text: string): Pronounce {
  const entries = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [word = "", ...phones] = line.replace(/#.*$/, "").trim().split(/\s+/);
    if (word === "" || word.startsWith(";;;") || phones.length === 0 || entries.has(word.toLowerCase())) continue;
    entries.set(word.toLowerCase(), phones);
  }
  return (word) => entries.get(word.replaceAll("’", "'")) ?? parts(word, entries);
}

/** A word with hyphens is its parts. */
function parts(word: string, entries: ReadonlyMap<string, string[]>): string[] | null {
  if (!word.includes("-")) return null;
  const found = word.split("-").map((part) => entries.get(part));
  return found.every((phones) => phones !== undefined) ? found.flat() : null;
}
