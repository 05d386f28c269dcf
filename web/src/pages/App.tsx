import { type ReactElement, useEffect } from "react";
import { I18nProvider } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { type Lesson, LessonContext, useLesson, useLessonState } from "../parts/context";
import { HomePage } from "./HomePage";
import { KioskPage } from "./KioskPage";
import { LessonView } from "./LessonView";
import { PlainPage } from "./PlainPage";
import { SchoolPage } from "./SchoolPage";
import { ConnectingPage, EndedPage, LeftPage, ReplacedPage, StoppedPage } from "./states";

const PAGES = { "/kiosk": KioskPage, "/school": SchoolPage, "/home": HomePage } as const;
export type PagePath = keyof typeof PAGES;

/** The page that a path names, or null: the plain one. */
export function pagePath(pathname: string): PagePath | null {
  const path = pathname.replace(/\/+$/, "");
  return path in PAGES ? (path as PagePath) : null;
}

interface AppProps {
  readonly path: PagePath | null;
  /** Null where the link had no token. */
  readonly lesson: Lesson | null;
  /** This browser can't do what a lesson needs. */
  readonly unsupported: boolean;
}

export function App({ path, lesson, unsupported }: AppProps): ReactElement {
  const { t, i18n } = useTranslation();
  useEffect(() => {
    // A kiosk is read from 1.5 m: its sizes are others, also in what lies over the page.
    document.documentElement.dataset["page"] = path?.slice(1) ?? "plain";
    document.documentElement.lang = i18n.language;
    document.title = path === null ? "Luokkasilta" : `${t("lesson.label")} · Luokkasilta`;
  }, [i18n.language, path, t]);
  return (
    <I18nProvider locale={`${i18n.language}-FI`}>
      {path === null ? (
        <PlainPage />
      ) : unsupported ? (
        <StoppedPage code="browser-unsupported" contact={null} onAction={() => undefined} />
      ) : lesson === null ? (
        <StoppedPage code="token-missing" contact={null} onAction={() => undefined} />
      ) : (
        <LessonContext value={lesson}>
          <LessonScreen path={path} />
        </LessonContext>
      )}
    </I18nProvider>
  );
}

/** Which of a lesson's screens is shown, by how far the endpoint has come. */
function LessonScreen({ path }: { readonly path: PagePath }): ReactElement {
  const { session } = useLesson();
  const { lesson, line, presence, entered, you, contact } = useLessonState();
  const Page = PAGES[path];
  if (lesson?.state === "ended") return <EndedPage />;
  if (line.state === "stopped") {
    if (line.code === "replaced") return <ReplacedPage onAction={() => session.takeBack()} />;
    return <StoppedPage code={line.code} contact={contact} onAction={() => session.comeBack()} />;
  }
  if (line.state === "left") return <LeftPage onAction={() => session.comeBack()} />;
  if (entered || presence === "joining" || presence === "inside") return <LessonView />;
  if (you === null) return <ConnectingPage line={line} contact={contact} onAction={() => session.tryNow()} />;
  return <Page />;
}
