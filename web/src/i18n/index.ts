/** The three languages of the pages: which one is chosen, and the words. */

import { createInstance, type i18n } from "i18next";
import { initReactI18next } from "react-i18next";
import en from "./en.json";
import fi from "./fi.json";
import sv from "./sv.json";

export const LANGUAGES = ["fi", "sv", "en"] as const;
export type Language = (typeof LANGUAGES)[number];

/** Each in itself: whoever looks for a language reads it. */
export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = {
  fi: "Suomi",
  sv: "Svenska",
  en: "English",
};

const STORED = "luokkasilta.language";

/** The address says it, else the earlier choice, else the browser's order of languages, else Finnish. */
export function chooseLanguage(search: string, stored: string | null, preferred: readonly string[]): Language {
  const candidates = [new URLSearchParams(search).get("lang"), stored, ...preferred];
  for (const candidate of candidates) {
    const language = LANGUAGES.find((known) => known === candidate?.toLowerCase().split("-")[0]);
    if (language !== undefined) return language;
  }
  return "fi";
}

/** The words, ready at once: they are part of the program. */
export function createWords(language: Language): i18n {
  const words = createInstance();
  void words.use(initReactI18next).init({
    lng: language,
    fallbackLng: false,
    resources: { fi: { translation: fi }, sv: { translation: sv }, en: { translation: en } },
    interpolation: { escapeValue: false }, // React escapes
    initAsync: false,
    returnNull: false,
  });
  return words;
}

export function storedLanguage(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null; // storage is switched off
  }
}

export function storeLanguage(language: Language): void {
  try {
    localStorage.setItem(STORED, language);
  } catch {
    // The choice then holds for this page only.
  }
}
