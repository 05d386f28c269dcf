import { describe, expect, it, vi } from "vitest";
import { placeOfToken, takeToken, takeTransport, tokenIn } from "../../src/lesson/token";

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

describe("the way of media", () => {
  const place = (hash: string) => ({ pathname: "/home", search: "", hash });

  it("is through the relay alone where the link says so, also after a reload, until another link", () => {
    const { storage } = tab();
    expect(takeTransport(place("#t=abc"), storage)).toBe("all");
    expect(takeTransport(place("#t=abc&transport=relay"), storage)).toBe("relay");
    expect(takeTransport(place(""), storage)).toBe("relay");
    expect(takeTransport(place("#t=abc&transport=pigeon"), storage)).toBe("all");
    expect(takeTransport(place(""), storage)).toBe("all");
  });

  it("does not change the token", () => {
    expect(tokenIn("#t=abc&transport=relay")).toBe("abc");
  });
});

describe("the place of a token", () => {
  const token = (claims: unknown) => {
    const octets = new TextEncoder().encode(JSON.stringify(claims));
    const encoded = btoa(String.fromCharCode(...octets)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    return `e30.${encoded}.signature`;
  };

  it("is the same for a fresh token, and another for another lesson, role or site", () => {
    const claims = { lesson: "l1", role: "home", site: "Närpiö", exp: 1 };
    const found = placeOfToken(token(claims));
    expect(found).toBe('["l1","home","Närpiö"]');
    expect(placeOfToken(token({ ...claims, exp: 2 }))).toBe(found);
    for (const other of [{ lesson: "l2" }, { role: "school" }, { site: "Vieremä" }]) {
      expect(placeOfToken(token({ ...claims, ...other }))).not.toBe(found);
    }
  });

  it.each(["abc", "a.b.c", "..", token(null), token({ lesson: 1, role: "home", site: "x" })])("is not in %j", (other) => {
    expect(placeOfToken(other)).toBeNull();
  });
});
