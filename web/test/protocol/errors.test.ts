import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import en from "../../src/i18n/en.json";
import fi from "../../src/i18n/fi.json";
import sv from "../../src/i18n/sv.json";
import {
  CLIENT_ERROR_CODES,
  knownCode,
  recoveryOf,
  SERVER_ERROR_CODES,
} from "../../src/protocol/errors";

interface Row {
  readonly code: string;
  readonly fatal: string;
}

/** The table of section 6. */
function codesOfProtocol(): Row[] {
  const text = readFileSync(join(import.meta.dirname, "../../../signalling/PROTOCOL.md"), "utf-8");
  const section = /^## 6\. Error codes$([\s\S]*?)^## /m.exec(text)?.[1] ?? "";
  return [...section.matchAll(/^\| `([a-z-]+)` \| ([^|]+) \|/gm)].map((row) => ({
    code: row[1] ?? "",
    fatal: (row[2] ?? "").trim(),
  }));
}

describe("the error codes", () => {
  const rows = codesOfProtocol();
  const codes = rows.map((row) => row.code);

  it("are found in the protocol", () => {
    expect(rows.length).toBeGreaterThan(15);
  });

  it("are those of the protocol, no more and no less", () => {
    expect([...SERVER_ERROR_CODES].sort()).toEqual([...codes].sort());
  });

  it.each([
    ["fi", fi],
    ["sv", sv],
    ["en", en],
  ])("all have words in %s", (_, words) => {
    const said: Record<string, { title: string; text: string }> = words.errors;
    for (const code of [...codes, ...CLIENT_ERROR_CODES]) {
      expect(said[code]?.title, code).toMatch(/\S/);
      expect(said[code]?.text, code).toMatch(/\S/);
    }
    expect(Object.keys(said).sort()).toEqual([...codes, ...CLIENT_ERROR_CODES].sort());
  });

  it("promise to come back by itself exactly where the page does", () => {
    const promise = /itsestään|automatiskt|automatically|will be let in/;
    for (const code of [...SERVER_ERROR_CODES, ...CLIENT_ERROR_CODES]) {
      for (const words of [fi, sv, en]) {
        const promised = promise.test(words.errors[code].text);
        expect(promised, `${code}: ${words.errors[code].text}`).toBe(recoveryOf(code) === "retry");
      }
    }
  });

  it("that are new to this page are a fault of ours", () => {
    expect(knownCode("token-expired")).toBe("token-expired");
    expect(knownCode("code-of-next-year")).toBe("internal");
  });
});
