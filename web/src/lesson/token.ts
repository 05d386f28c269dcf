/**
 * The token of the page's link. It comes in the fragment, which no server sees; it leaves the address bar at once,
 * so that nobody reads it off a projected screen, and stays in the tab for a reload.
 */

const KEY = "luokkasilta.token";

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
