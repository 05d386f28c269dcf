/**
 * The token of the page's link. It comes in the fragment, which no server sees; it leaves the address bar at once,
 * so that nobody reads it off a projected screen, and stays in the tab for a reload.
 */

const KEY = "luokkasilta.token";
const TRANSPORT_KEY = "luokkasilta.transport";

/** How media travels: `relay` is through a TURN server alone. */
export type Transport = "all" | "relay";

interface Place {
  readonly pathname: string;
  readonly search: string;
  readonly hash: string;
}

/** The fragment's token, or null. */
export function tokenIn(hash: string): string | null {
  const token = new URLSearchParams(hash.replace(/^#/, "")).get("t");
  return token === null || token === "" ? null : token;
}

/**
 * A link may say `transport=relay` beside its token, to see whether the relay works where the direct way does
 * too. Kept for a reload like the token, until the next link.
 */
export function takeTransport(place: Place, storage: Pick<Storage, "getItem" | "setItem">): Transport {
  const key = `${TRANSPORT_KEY}:${place.pathname}`;
  if (tokenIn(place.hash) === null) return storage.getItem(key) === "relay" ? "relay" : "all";
  const said = new URLSearchParams(place.hash.replace(/^#/, "")).get("transport");
  const transport: Transport = said === "relay" ? "relay" : "all";
  storage.setItem(key, transport);
  return transport;
}

/**
 * What a token is for: its lesson, role and site in one string, so that a fresh token for the same finds what was
 * kept for the old one. Read without a check of the signature, which is the server's; null where it can't be read.
 */
export function placeOfToken(token: string): string | null {
  try {
    const claims: unknown = JSON.parse(decodeBase64Url(token.split(".")[1] ?? ""));
    if (typeof claims !== "object" || claims === null) return null;
    const { lesson, role, site } = claims as Record<string, unknown>;
    const named = [lesson, role, site];
    return named.every((claim) => typeof claim === "string") ? JSON.stringify(named) : null;
  } catch {
    return null;
  }
}

function decodeBase64Url(encoded: string): string {
  const octets = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(octets, (octet) => octet.charCodeAt(0)));
}

/** Takes the token out of the address, or finds the one kept from before for this page. */
export function takeToken(
  place: Place,
  history: Pick<History, "replaceState">,
  storage: Pick<Storage, "getItem" | "setItem">,
): string | null {
  const key = `${KEY}:${place.pathname}`;
  const token = tokenIn(place.hash);
  if (token === null) return storage.getItem(key);
  storage.setItem(key, token);
  history.replaceState(null, "", place.pathname + place.search);
  return token;
}
