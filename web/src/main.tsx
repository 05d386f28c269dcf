import "@fontsource-variable/inter/wght.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/pages.css";
import "./styles/lesson.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { I18nextProvider } from "react-i18next";
import { chooseLanguage, createWords, storedLanguage } from "./i18n";
import { Keeper } from "./lesson/kept";
import { LessonSession } from "./lesson/session";
import { placeOfToken, takeToken, takeTransport, tokenIn } from "./lesson/token";
import { LocalMedia } from "./media/devices";
import { LessonPeer } from "./media/peer";
import { Playback } from "./media/playback";
import { App, pagePath } from "./pages/App";
import type { Lesson } from "./parts/context";

const path = pagePath(location.pathname);
// Read before the token, which takes the fragment with it.
const transport = takeTransport(location, sessionStorage);
const token = path === null ? null : takeToken(location, history, sessionStorage);
const unsupported = !("RTCPeerConnection" in window && "requestVideoFrameCallback" in HTMLVideoElement.prototype);

// A new link opened in the same tab changes only the fragment, which loads nothing by itself.
window.addEventListener("hashchange", () => {
  if (tokenIn(location.hash) !== null) location.reload();
});

// A page that the browser brings back from its cache has lost its line, its media and its devices: as after a
// reload it finds its place by itself.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

function beginLesson(withToken: string): Lesson {
  const local = new LocalMedia(navigator);
  const place = placeOfToken(withToken) ?? location.pathname;
  const session = new LessonSession(withToken, {
    local,
    openSocket: () => new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`),
    createPeer: (...parts) => new LessonPeer(...parts),
    keeper: new Keeper(sessionStorage, place),
    relayOnly: transport === "relay",
    channel: "BroadcastChannel" in window ? new BroadcastChannel(`luokkasilta.place:${place}`) : null,
    random: Math.random,
  });
  watchNetwork(() => session.networkChanged());
  // For end-to-end tests, which read what is received: a view of what is, without a way to change it.
  Object.defineProperty(window, "__lesson", {
    value: Object.freeze({
      get pc() {
        return session.peer?.connection ?? null;
      },
      get plays() {
        return session.state.plays;
      },
      get state() {
        return session.state;
      },
    }),
  });
  session.start();
  return { session, local, playback: new Playback() };
}

/** Calls `changed` when the machine is in another network, as far as its browser tells. */
function watchNetwork(changed: () => void): void {
  window.addEventListener("online", changed);
  // Only Chromium on phones has `type`; its `change` comes for every new guess of speed as well.
  const connection = "connection" in navigator ? (navigator.connection as EventTarget & { type?: string }) : null;
  let type = connection?.type;
  connection?.addEventListener("change", () => {
    if (connection.type === type) return;
    type = connection.type;
    if (type !== "none") changed();
  });
}

const root = document.getElementById("root");
if (root === null) throw new Error("index.html without its root");
createRoot(root).render(
  <StrictMode>
    <I18nextProvider i18n={createWords(chooseLanguage(location.search, storedLanguage(), navigator.languages))}>
      <App path={path} lesson={token === null || unsupported ? null : beginLesson(token)} unsupported={unsupported} />
    </I18nextProvider>
  </StrictMode>,
);
