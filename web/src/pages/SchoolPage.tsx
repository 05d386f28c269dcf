import { type ReactElement, type SyntheticEvent, useEffect, useId, useState } from "react";
import { Input, Label, Text, TextField } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { useLesson, useLessonState, useLocalState, useUnlock } from "../parts/context";
import { DeviceNotices } from "../parts/DeviceNotice";
import { HeadcountField } from "../parts/HeadcountField";
import { LanguageMenu } from "../parts/LanguageMenu";
import { LineNotice } from "../parts/LineNotice";
import { MicCheck } from "../parts/MicCheck";
import { lessonName, ownPlace } from "../parts/names";
import { PressButton } from "../parts/PressButton";
import { Preview } from "../parts/Preview";
import { RecordingNote } from "../parts/Recording";
import { SpeakerCheck } from "../parts/SpeakerCheck";
import { Waiting } from "../parts/Waiting";

/** A group in a school room before the lesson: its name, how many they are, and one button. */
export function SchoolPage(): ReactElement {
  const { t } = useTranslation();
  const { session, local } = useLesson();
  const { lesson, you, presence } = useLessonState();
  const devices = useLocalState();
  const unlock = useUnlock();
  const form = useId();
  const [label, setLabel] = useState(session.presentation.label ?? "");
  const [headcount, setHeadcount] = useState(session.presentation.headcount);

  useEffect(() => void local.acquire({ camera: true, mic: true }), [local]);

  const join = (event: SyntheticEvent) => {
    event.preventDefault();
    unlock();
    session.join({ label: label.trim() === "" ? null : label.trim(), headcount });
  };
  const waiting = presence === "wanted";
  const live = lesson?.state === "live";

  return (
    <main className="school">
      <header className="page-head">
        <span className={live ? "chip ok" : "chip"}>{live ? t("kiosk.live") : t("kiosk.next")}</span>
        <LanguageMenu />
      </header>
      <section className="school-words">
        <h1>{lesson === null ? "" : lessonName(lesson)}</h1>
        <p className="meta">{you === null ? "" : ownPlace(you)}</p>
        <LineNotice />
        <RecordingNote />
        {waiting ? (
          <Waiting who="school" />
        ) : (
          <form id={form} className="school-form" onSubmit={join}>
            <h2>{t("school.title")}</h2>
            <TextField className="field" value={label} onChange={setLabel} maxLength={40} autoComplete="off">
              <Label>{t("school.label")}</Label>
              <Input />
              <Text slot="description" className="hint">
                {t("school.labelHint")}
              </Text>
            </TextField>
            <HeadcountField value={headcount} onChange={setHeadcount} />
            <PressButton look="primary" className="join" type="submit">
              {t("school.join")}
            </PressButton>
            {live ? null : <p className="meta">{t("school.notYet")}</p>}
          </form>
        )}
      </section>
      <section className="school-check">
        {devices.camera.state === "trouble" ? null : (
          <Preview camera={devices.camera} name={t("check.selfRoom")} />
        )}
        <DeviceNotices local={devices} onRetry={() => void local.acquire({ camera: true, mic: true })} />
        {devices.mic.state === "trouble" ? null : (
          <MicCheck mic={devices.mic} heard={t("check.micHearsRoom")} />
        )}
        <SpeakerCheck />
      </section>
    </main>
  );
}
