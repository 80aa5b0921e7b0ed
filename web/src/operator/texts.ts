// The texts of the page in the visitor's language, and how this language writes numbers. A component that reads them is
// drawn again when the visitor chooses another language.

import { computed, effect, signal } from "@preact/signals";
import * as de from "../texts/de";
import * as en from "../texts/en";
import { LANGUAGES, type Language, storeLanguage, type Texts, visitorsLanguage } from "../texts/language";

const ALL: Record<Language, Texts> = { en, de };

export const language = signal<Language>(visitorsLanguage());
export const texts = computed(() => ALL[language.value]);

/** The language that the switch of the page leads to. */
export const otherLanguage = computed(
  () => LANGUAGES[(LANGUAGES.indexOf(language.value) + 1) % LANGUAGES.length] ?? LANGUAGES[0],
);

export function chooseLanguage(chosen: Language): void {
  language.value = chosen;
  storeLanguage(chosen);
}

/** Tell the browser and screen readers, now and later, which language the page speaks. */
export function declareLanguage(): void {
  effect(() => {
    document.documentElement.lang = language.value;
  });
}

/** A number with at most so many digits behind the point, or the comma. */
export function decimal(value: number, digits: number, least = 0): string {
  const options = { minimumFractionDigits: least, maximumFractionDigits: digits, useGrouping: false };
  return value.toLocaleString(language.value, options);
}
