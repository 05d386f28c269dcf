import { type ReactElement, useState } from "react";
import { useTranslation } from "react-i18next";
import { Clock } from "../parts/Clock";
import { useLesson, useLessonState, useLocalState, useUnlock } from "../parts/context";
import { DeviceNotices } from "../parts/DeviceNotice";
import { LanguageSwitch } from "../parts/LanguageSwitch";
import { LineNotice } from "../parts/LineNotice";
import { lessonName, ownPlace } from "../parts/names";
import { Notice } from "../parts/Notice";
import { PressButton } from "../parts/PressButton";
import { RecordingNote } from "../parts/Recording";
import { type ErrorCode, RequestError } from "../protocol/errors";

/** The teacher's classroom before the lesson: one button opens it. */
export function KioskPage(): ReactElement {
  const { t } = useTranslation();
  const { session, local } = useLesson();
  const { lesson, you, line, presence } = useLessonState();
  const devices = useLocalState();
  const unlock = useUnlock();
  const [opening, setOpening] = useState(false);
  const [refused, setRefused] = useState<ErrorCode | null>(null);

  const live = lesson?.state === "live";
  const opens = !live && you?.may_open === true;
  const noDevices = devices.camera.state === "trouble" && devices.mic.state === "trouble";
  const busy = opening || presence === "wanted";

  const openAndJoin = async (withDevices: boolean) => {
    unlock();
    setOpening(true);
    setRefused(null);
    try {
      if (withDevices) {
        await local.acquire({ camera: true, mic: true });
        const { camera, mic } = local.state;
        if (camera.state === "trouble" && mic.state === "trouble") return;
      }
      if (opens) await session.open();
      session.join({ label: null, headcount: 1 });
    } catch (error) {
      setRefused(error instanceof RequestError ? error.code : "internal");
    } finally {
      setOpening(false);
    }
  };

  return (
    <main className="kiosk">
      <section className="kiosk-main">
        <Clock className="kiosk-clock" />
        <div className="kiosk-card">
          <span className={live ? "chip ok" : "chip"}>{live ? t("kiosk.live") : t("kiosk.next")}</span>
          <h1>{lesson === null ? "" : lessonName(lesson)}</h1>
          <p className="kiosk-meta">{you === null ? "" : ownPlace(you)}</p>
          <div className="kiosk-notices">
            <LineNotice />
            <RecordingNote />
            <DeviceNotices local={devices} onRetry={() => void openAndJoin(true)} />
            {refused === null ? null : (
              <Notice title={t(`errors.${refused}.title`)} text={t(`errors.${refused}.text`)} />
            )}
            {devices.camera.state === "asking" ? <p className="kiosk-asking">{t("check.asking")}</p> : null}
          </div>
          {noDevices ? (
            <PressButton className="kiosk-go without" disabled={busy} onPress={() => void openAndJoin(false)}>
              {opens ? t("kiosk.openWithout") : t("kiosk.joinWithout")}
            </PressButton>
          ) : (
            <PressButton
              look="primary"
              className="kiosk-go"
              icon="play"
              disabled={busy || line.state !== "open"}
              onPress={() => void openAndJoin(true)}
            >
              {busy ? t("kiosk.opening") : opens ? t("kiosk.open") : t("kiosk.join")}
            </PressButton>
          )}
        </div>
      </section>
      <aside className="kiosk-aside">
        <h2>{t("kiosk.how")}</h2>
        <ol className="kiosk-how">
          <li>{t("kiosk.how1")}</li>
          <li>{t("kiosk.how2")}</li>
          <li>{t("kiosk.how3")}</li>
        </ol>
        <LanguageSwitch />
        <p className="kiosk-help">{t("common.help")}</p>
      </aside>
    </main>
  );
}
