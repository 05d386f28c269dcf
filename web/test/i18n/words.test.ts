import { describe, expect, it } from "vitest";
import { chooseLanguage, createWords, LANGUAGES } from "../../src/i18n";
import en from "../../src/i18n/en.json";
import fi from "../../src/i18n/fi.json";
import sv from "../../src/i18n/sv.json";

/** "a.b.c" -> words. */
function flatten(words: object, above = ""): Map<string, string> {
  const flat = new Map<string, string>();
  for (const [key, value] of Object.entries(words) as [string, string | object][]) {
    if (typeof value === "string") flat.set(above + key, value);
    else for (const [below, text] of flatten(value, `${above}${key}.`)) flat.set(below, text);
  }
  return flat;
}

const FINNISH = flatten(fi);

describe("the words", () => {
  it.each([
    ["sv", flatten(sv)],
    ["en", flatten(en)],
  ])("of %s have the keys of the Finnish ones", (_, words) => {
    expect([...words.keys()].sort()).toEqual([...FINNISH.keys()].sort());
  });

  it.each([
    ["fi", FINNISH],
    ["sv", flatten(sv)],
    ["en", flatten(en)],
  ])("of %s are none of them empty, and name what the Finnish ones name", (_, words) => {
    const named = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]).sort();
    for (const [key, text] of words) {
      expect(text.trim(), key).not.toBe("");
      expect(named(text), key).toEqual(named(FINNISH.get(key) ?? ""));
    }
  });

  it("count people in each language", () => {
    const said = LANGUAGES.map((language) => {
      const words = createWords(language);
      return [words.t("common.people", { count: 1 }), words.t("common.people", { count: 14 })];
    });
    expect(said).toEqual([
      ["1 henkilö paikalla", "14 henkilöä paikalla"],
      ["1 person på plats", "14 personer på plats"],
      ["1 person here", "14 people here"],
    ]);
  });
});

describe("the language", () => {
  it.each([
    ["?lang=sv", "en", ["fi-FI"], "sv"],
    ["?lang=de", "en", ["fi-FI"], "en"],
    ["", null, ["de-DE", "sv-FI", "fi"], "sv"],
    ["", null, ["en-GB"], "en"],
    ["", "xx", ["de"], "fi"],
    ["", null, [], "fi"],
  ] as const)("of %j, stored %j, preferred %j is %s", (search, stored, preferred, chosen) => {
    expect(chooseLanguage(search, stored, preferred)).toBe(chosen);
  });
});
