/** What is wrong with this page's own line, or with the teacher's, in the midst of a lesson. */

import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import { waitsForTeacher, type LessonState } from "../lesson/state";
import { ContactLines } from "./ContactLines";
import { useLesson, useLessonState } from "./context";
import { Icon } from "./Icon";
import { PressButton } from "./PressButton";
import { useDelayed } from "./useDelayed";

/** Most lost lines are back before this. */
const LINE_MS = 1_500;
/** Media that stands still is mended by itself for as long; then it needs a word. */
const MEDIA_MS = 4_000;
/** Who is still waiting then may want to call. */
const CONTACT_MS = 4_000;
const TEACHER_MS = 1_500;
/** A teacher who opens a lesson is in it a moment later. */
const TEACHER_COMING_MS = 5_000;

/** In the head of the lesson: small troubles that leave picture and sound. Stands in a `role="status"`. */
export function LineSign(): ReactElement | null {
  const { t } = useTranslation();
  const { line, media } = useLessonState();
  const reconnecting = useDelayed(line.state === "returning" && media === "connected", LINE_MS);
  if (reconnecting) {
    return (
      <span className="chip warn">
        <Icon name="line" />
        {t("lesson.reconnecting")}
        <span className="chip-more">{t("lesson.mediaGoesOn")}</span>
      </span>
    );
  }
  if (line.state !== "open" || (media !== "shaky" && media !== "down")) return null;
  return (
    <span className="chip warn">
      <Icon name="line" />
      {t("lesson.shaky")}
    </span>
  );
}

/** Over the pictures: neither picture nor sound comes. It is mended by itself, and says so. */
export function LostLine(): ReactElement | null {
  const { t } = useTranslation();
  const { session } = useLesson();
  const { line, media, contact } = useLessonState();
  const lineLost = useDelayed(line.state === "returning" && media !== "connected", LINE_MS);
  const mediaLost = useDelayed(line.state === "open" && (media === "shaky" || media === "down"), MEDIA_MS);
  const longer = useDelayed(lineLost || mediaLost, CONTACT_MS);
  if (!lineLost && !mediaLost) return null;
  return (
    <div className="cover">
      <div className="cover-card" role="alert">
        <Icon name="line" />
        {lineLost ? (
          <LineWords line={line} />
        ) : (
          <>
            <h2>{t("lesson.mediaDownTitle")}</h2>
            <p>{t("lesson.mediaDownText")}</p>
          </>
        )}
        {longer ? <ContactLines contact={contact} /> : null}
        <PressButton
          look="primary"
          icon="again"
          onPress={() => (lineLost ? session.tryNow() : session.networkChanged())}
        >
          {t("common.tryNow")}
        </PressButton>
      </div>
    </div>
  );
}

function LineWords({ line }: Pick<LessonState, "line">): ReactElement | null {
  const { t } = useTranslation();
  if (line.state !== "returning") return null;
  const { code, attempt } = line;
  const again = attempt > 2;
  const ownText = again ? t("lesson.returningAgain") : t("lesson.returningText");
  return (
    <>
      <h2>{code === null ? t("lesson.returningTitle") : t(`errors.${code}.title`)}</h2>
      <p>{code === null || again ? ownText : t(`errors.${code}.text`)}</p>
    </>
  );
}

/** Whether the page says now that the lesson waits for its teacher. */
export function useTeacherMissing(): boolean {
  const state = useLessonState();
  const own = state.line.state === "open";
  return useDelayed(own && waitsForTeacher(state), state.taught ? TEACHER_MS : TEACHER_COMING_MS);
}

/** Below the pictures: the teacher's line is down, the lesson waits, and whom to call. */
export function TeacherAway(): ReactElement {
  const { t } = useTranslation();
  const { contact } = useLessonState();
  return (
    <div className="notice teacher-away" role="alert">
      <Icon name="line" />
      <div>
        <b>{t("lesson.teacherAwayTitle")}</b>
        <p>{t("lesson.teacherAwayText")}</p>
        <ContactLines contact={contact} />
      </div>
    </div>
  );
}
