import { describe, expect, it, vi } from "vitest";
import { Keeper, type Kept, NOTHING_KEPT } from "../../src/lesson/kept";
import { CONTACT, FakeTab } from "../support";

const KEPT: Kept = {
  resume: "secret",
  inside: true,
  presentation: { label: "8B", headcount: 14 },
  devices: { camera: false, mic: true },
  contact: CONTACT,
};

describe("what a page keeps for its reload", () => {
  it("is found again, in its own place only", () => {
    const tab = new FakeTab();
    tab.keeper("a").write(KEPT);
    expect(tab.keeper("a").read()).toEqual(KEPT);
    expect(tab.keeper("b").read()).toEqual(NOTHING_KEPT);
  });

  it("is written once for one change", () => {
    const tab = new FakeTab();
    const write = vi.spyOn(tab.storage, "setItem");
    const keeper = tab.keeper();
    keeper.write(KEPT);
    keeper.write({ ...KEPT });
    keeper.write({ ...KEPT, inside: false });
    expect(write).toHaveBeenCalledTimes(2);
  });

  it.each([
    ["no JSON", "{"],
    ["a list", "[]"],
    ["half of it", JSON.stringify({ ...KEPT, presentation: undefined })],
    ["another version's devices", JSON.stringify({ ...KEPT, devices: { camera: "on", mic: "off" } })],
    ["a contact in words", JSON.stringify({ ...KEPT, contact: "call us" })],
  ])("is nothing where there is %s", (_, stored) => {
    const keeper = new Keeper({ getItem: () => stored, setItem: vi.fn() }, "place");
    expect(keeper.read()).toEqual(NOTHING_KEPT);
  });

  it("is nothing where storage is switched off, and no harm is done", () => {
    const off = () => {
      throw new DOMException("", "SecurityError");
    };
    const keeper = new Keeper({ getItem: off, setItem: off }, "place");
    keeper.write(KEPT);
    expect(keeper.read()).toEqual(NOTHING_KEPT);
  });
});
