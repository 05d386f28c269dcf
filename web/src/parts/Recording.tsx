import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import { useLessonState } from "./context";
import { Icon } from "./Icon";

/** In the lesson: it is recorded, or the recording has stopped, on every screen. Stands in a `role="status"`. */
export function RecordingSign(): ReactElement | null {
  const { t } = useTranslation();
  const recording = useLessonState().lesson?.recording;
  if (recording === "on") {
    return (
      <span className="chip recording">
        <Icon name="record" />
        {t("lesson.recording")}
      </span>
    );
  }
  if (recording !== "failed") return null;
  return (
    <span className="chip warn">
      <Icon name="warning" />
      {t("lesson.recordingFailed")}
    </span>
  );
}

/** Before the join, so that nobody comes into a recording unawares. */
export function RecordingNote(): ReactElement | null {
  const { t } = useTranslation();
  if (useLessonState().lesson?.recording !== "on") return null;
  return (
    <p className="recording-note" role="status">
      <Icon name="record" />
      {t("lesson.recordingNote")}
    </p>
  );
}
