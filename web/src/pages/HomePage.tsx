import { type ReactElement, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useLesson, useLessonState, useLocalState, useUnlock } from "../parts/context";
import { DeviceNotices } from "../parts/DeviceNotice";
import { LanguageMenu } from "../parts/LanguageMenu";
import { LineNotice } from "../parts/LineNotice";
import { MicCheck } from "../parts/MicCheck";
import { lessonName } from "../parts/names";
import { PressButton } from "../parts/PressButton";
import { Preview } from "../parts/Preview";
import { RecordingNote } from "../parts/Recording";
import { SpeakerCheck } from "../parts/SpeakerCheck";
import { Waiting } from "../parts/Waiting";

/** A pupil at home, most often with a phone: first see that everything works, then join. */
export function HomePage(): ReactElement {
  const { t } = useTranslation();
  const { session, local } = useLesson();
  const { lesson, presence } = useLessonState();
  const devices = useLocalState();
  const unlock = useUnlock();

  useEffect(() => void local.acquire({ camera: true, mic: true }), [local]);

  const join = async (withCamera: boolean) => {
    unlock();
    if (!withCamera) await local.setCamera(false);
    session.join({ label: null, headcount: 1 });
  };

  const retry = () => void local.acquire({ camera: true, mic: true });
  return (
    <main className="home">
      <header className="page-head">
        <span className={lesson?.state === "live" ? "chip ok" : "chip"}>
          {lesson === null ? "" : lessonName(lesson)}
        </span>
        <LanguageMenu />
      </header>
      <h1>{t("home.title")}</h1>
      <div className="home-check">
        <LineNotice />
        <RecordingNote />
        <DeviceNotices local={devices} onRetry={retry} />
        {devices.mic.state === "trouble" ? null : <MicCheck mic={devices.mic} heard={t("check.micHears")} />}
        <SpeakerCheck />
        <p className="privacy">{t("home.privacy")}</p>
      </div>
      {devices.camera.state === "trouble" ? null : <Preview camera={devices.camera} name={t("check.self")} />}
      <div className="home-foot">
        {presence === "wanted" ? (
          <Waiting who="home" />
        ) : (
          <>
            {devices.camera.state === "trouble" ? null : (
              <PressButton onPress={() => void join(false)}>{t("home.joinWithoutCamera")}</PressButton>
            )}
            <PressButton look="primary" onPress={() => void join(true)}>
              {t("home.join")}
            </PressButton>
          </>
        )}
      </div>
    </main>
  );
}
