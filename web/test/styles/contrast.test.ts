import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const FOLDER = join(import.meta.dirname, "../../src/styles");

function read(file: string): string {
  return readFileSync(join(FOLDER, file), "utf-8").replace(/\/\*[\s\S]*?\*\//g, "");
}

const COLOURS = new Map(
  [...read("tokens.css").matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)].map((match) => [match[1] ?? "", match[2] ?? ""]),
);

/** Relative luminance of "#rrggbb" (WCAG 2.1). */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

interface Pair {
  readonly rule: string;
  readonly text: string;
  readonly grounds: readonly string[];
}

/** Every rule that sets a text colour, with the ground it names: its own background, or `--on` for one above it. */
function pairs(): Pair[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".css"))
    .flatMap((file) =>
      [...read(file).matchAll(/([^{};]+)\{([^{}]*)\}/g)].flatMap((rule) => {
        const body = rule[2] ?? "";
        const text = /(?:^|[;\s])color:\s*([^;]+);/.exec(body)?.[1]?.trim();
        if (text === undefined) return [];
        const ground = /(?:^|[;\s])background:\s*([^;]+);/.exec(body)?.[1] ?? /--on:\s*([^;]+);/.exec(body)?.[1] ?? "";
        const grounds = [...ground.matchAll(/var\(--([\w-]+)\)/g)].map((match) => match[1] ?? "");
        return [{ rule: `${file}: ${(rule[1] ?? "").trim()}`, text, grounds }];
      }),
    );
}

describe("every text colour in the styles", () => {
  it("is found", () => {
    expect(pairs().length).toBeGreaterThan(30);
  });

  it("is one of the tokens and names its ground", () => {
    for (const { rule, text, grounds } of pairs()) {
      const token = /^var\(--([\w-]+)\)$/.exec(text)?.[1] ?? "";
      expect(COLOURS.has(token), `${rule} sets ${text}`).toBe(true);
      expect(grounds.length, `${rule} sets a text colour without a ground`).toBeGreaterThan(0);
    }
  });

  it("stands out from its ground by 4.5 to 1", () => {
    for (const { rule, text, grounds } of pairs()) {
      const colour = COLOURS.get(text.slice(6, -1)) ?? "";
      for (const ground of grounds) {
        const ratio = contrast(colour, COLOURS.get(ground) ?? "");
        expect(ratio, `${rule}: ${text} on ${ground}`).toBeGreaterThanOrEqual(4.5);
      }
    }
  });
});

describe("what is no text but must be seen", () => {
  it.each([
    ["edge", "snow"],
    ["edge", "birch"],
    ["focus", "snow"],
    ["focus", "birch"],
    ["night-edge", "night"],
    ["night-edge", "night-2"],
    ["night-focus", "night"],
    ["spruce", "line"],
  ])("%s on %s by 3 to 1", (one, other) => {
    expect(contrast(COLOURS.get(one) ?? "", COLOURS.get(other) ?? "")).toBeGreaterThanOrEqual(3);
  });
});

describe("sizes", () => {
  it("of text are those of the tokens, the smallest 16 px, on a kiosk 24 px", () => {
    const tokens = read("tokens.css");
    const kiosk = /\[data-page="kiosk"\]\s*\{([^}]*)\}/.exec(tokens)?.[1] ?? "";
    const rems = (css: string) => [...css.matchAll(/--(t-\d+):\s*([\d.]+)rem;/g)].map((m) => [m[1], Number(m[2])] as const);
    for (const [name, rem] of rems(tokens)) expect(rem * 16, name).toBeGreaterThanOrEqual(16);
    const onKiosk = new Map([...rems(tokens.replace(kiosk, "")), ...rems(kiosk)]);
    for (const [name, rem] of onKiosk) expect(rem * 16, `${name} on a kiosk`).toBeGreaterThanOrEqual(24);
    for (const file of ["base.css", "parts.css", "pages.css", "lesson.css"]) {
      for (const size of read(file).matchAll(/font-size:\s*([^;]+);/g)) {
        expect(size[1], `${file} sets a size`).toMatch(/^(var\(--t-\d+\)|clamp\(var\(--t-\d+\), [\d.]+vw, var\(--t-\d+\)\)|100%|max\(100%, 0\.833vw\))$/);
      }
    }
  });
});
