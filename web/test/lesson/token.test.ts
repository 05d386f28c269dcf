import { describe, expect, it, vi } from "vitest";
import { takeToken, tokenIn } from "../../src/lesson/token";

function tab() {
  const kept = new Map<string, string>();
  return {
    history: { replaceState: vi.fn() },
    storage: {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
    },
  };
}

describe("the token of a link", () => {
  it("is taken out of the address, which keeps the rest", () => {
    const { history, storage } = tab();
    const place = { pathname: "/school", search: "?lang=sv", hash: "#t=abc.def.ghi" };
    expect(takeToken(place, history, storage)).toBe("abc.def.ghi");
    expect(history.replaceState).toHaveBeenCalledExactlyOnceWith(null, "", "/school?lang=sv");
  });

  it("is there after a reload, on its own page only", () => {
    const { history, storage } = tab();
    takeToken({ pathname: "/school", search: "", hash: "#t=abc" }, history, storage);
    expect(takeToken({ pathname: "/school", search: "", hash: "" }, history, storage)).toBe("abc");
    expect(takeToken({ pathname: "/kiosk", search: "", hash: "" }, history, storage)).toBeNull();
  });

  it("is replaced by that of a new link", () => {
    const { history, storage } = tab();
    takeToken({ pathname: "/home", search: "", hash: "#t=old" }, history, storage);
    expect(takeToken({ pathname: "/home", search: "", hash: "#t=new" }, history, storage)).toBe("new");
    expect(takeToken({ pathname: "/home", search: "", hash: "" }, history, storage)).toBe("new");
  });

  it.each(["", "#", "#t=", "#x=1", "#main"])("is not in %j", (hash) => {
    expect(tokenIn(hash)).toBeNull();
  });
});
