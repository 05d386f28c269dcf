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
import { LessonSession } from "./lesson/session";
import { takeToken, tokenIn } from "./lesson/token";
import { LocalMedia } from "./media/devices";
import { LessonPeer } from "./media/peer";
import { App, pagePath } from "./pages/App";
import type { Lesson } from "./parts/context";

const path = pagePath(location.pathname);
const token = path === null ? null : takeToken(location, history, sessionStorage);
const unsupported = !("RTCPeerConnection" in window && "requestVideoFrameCallback" in HTMLVideoElement.prototype);

// A new link opened in the same tab changes only the fragment, which loads nothing by itself.
window.addEventListener("hashchange", () => {
  if (tokenIn(location.hash) !== null) location.reload();
});

function beginLesson(withToken: string): Lesson {
  const local = new LocalMedia(navigator);
  const session = new LessonSession(withToken, {
    local,
    openSocket: () => new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`),
    createPeer: (...parts) => new LessonPeer(...parts),
    random: Math.random,
  });
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
  return { session, local };
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
