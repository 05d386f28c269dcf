import { describe, expect, it } from "vitest";
import { type Layout, layOut, type Rect } from "../../src/lesson/layout";

const SCREENS = [
  ["a small phone", 304, 500],
  ["a phone", 374, 700],
  ["a phone on its side", 800, 250],
  ["a tablet", 736, 860],
  ["a laptop", 1408, 724],
  ["a kiosk", 1888, 890],
  ["a 4K kiosk", 3800, 1980],
] as const;

function rects(layout: Layout): Rect[] {
  return [...(layout.stage === null ? [] : [layout.stage]), ...layout.others];
}

function overlap(one: Rect, other: Rect): boolean {
  const across = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const down = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  return across > 0.01 && down > 0.01;
}

describe.each(SCREENS)("on %s", (_, width, height) => {
  const all = [true, false].flatMap((stage) =>
    Array.from({ length: 13 }, (__, others) => ({ stage, others, layout: layOut({ width, height, others, stage }) })),
  );

  it("every picture lies within the area and is 16:9", () => {
    for (const { stage, others, layout } of all) {
      expect(layout.others).toHaveLength(others);
      expect(layout.stage !== null).toBe(stage);
      for (const rect of [...rects(layout), layout.self]) {
        const where = JSON.stringify({ stage, others, rect });
        expect(rect.width, where).toBeGreaterThan(20);
        expect(rect.width / rect.height, where).toBeCloseTo(16 / 9, 3);
        expect(rect.x, where).toBeGreaterThanOrEqual(-0.01);
        expect(rect.y, where).toBeGreaterThanOrEqual(-0.01);
        expect(rect.x + rect.width, where).toBeLessThanOrEqual(width + 0.01);
        expect(rect.y + rect.height, where).toBeLessThanOrEqual(height + 0.01);
      }
    }
  });

  it("no picture lies on another", () => {
    for (const { stage, others, layout } of all) {
      const placed = rects(layout);
      placed.forEach((one, at) => {
        for (const other of placed.slice(at + 1)) {
          expect(overlap(one, other), JSON.stringify({ stage, others, one, other })).toBe(false);
        }
      });
    }
  });

  it("the stage is the largest", () => {
    for (const { layout } of all) {
      if (layout.stage === null) continue;
      for (const other of layout.others) expect(layout.stage.width).toBeGreaterThanOrEqual(other.width);
    }
  });
});

describe("the own picture", () => {
  it("covers nobody beside a stage on a wide screen", () => {
    for (let others = 0; others <= 12; others += 1) {
      const layout = layOut({ width: 1408, height: 724, others, stage: true });
      for (const rect of rects(layout)) expect(overlap(rect, layout.self), `${others} others`).toBe(false);
    }
  });
});

describe("an area that is not measured yet", () => {
  it("gives no negative sizes", () => {
    for (const stage of [true, false]) {
      const layout = layOut({ width: 0, height: 0, others: 3, stage });
      for (const rect of [...rects(layout), layout.self]) {
        expect(rect.width).toBeGreaterThanOrEqual(0);
        expect(rect.height).toBeGreaterThanOrEqual(0);
      }
    }
  });
});
