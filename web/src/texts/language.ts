// The languages of the pages, and which one a visitor gets: the one that was chosen in this browser, or else the first
// of the browser's languages that the pages have.

import type * as en from "./en";

const STORAGE_KEY = "visavis.language";

export const LANGUAGES = ["en", "de"] as const;
export type Language = (typeof LANGUAGES)[number];

/** How each language calls itself, and its sign on the button that leads to it. */
export const NAMES: Record<Language, { name: string; sign: string }> = {
  en: { name: "English", sign: "EN" },
  de: { name: "Deutsch", sign: "DE" },
};

/** The texts that every language must have: those of the English file. */
type TextsLike<T> = {
  readonly [Name in keyof T]: T[Name] extends string
    ? string
    : T[Name] extends (...values: infer Values) => string
      ? (...values: Values) => string
      : TextsLike<T[Name]>;
};
export type Texts = TextsLike<typeof en>;

/** Choose from what was stored and what the browser prefers, for example `de-AT`. */
export function languageFor(stored: string | null, preferred: readonly string[]): Language {
  const wanted = [stored ?? "", ...preferred].map((tag) => tag.toLowerCase().split("-", 1)[0]);
  return wanted.map((tag) => LANGUAGES.find((one) => one === tag)).find((one) => one !== undefined) ?? "en";
}

export function visitorsLanguage(): Language {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(STORAGE_KEY);
  } catch {
    // The browser may forbid storage.
  }
  return languageFor(stored, globalThis.navigator?.languages ?? []);
}

export function storeLanguage(language: Language): void {
  try {
    localStorage.setItem(STORAGE_KEY, language);
  } catch {
    // The browser may forbid storage. The choice then lasts until the page is closed.
  }
}
