import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import { useLesson, useLessonState } from "./context";
import { Notice } from "./Notice";
import { PressButton } from "./PressButton";

/** Before the join: what is wrong with the line, or why the last request was refused. */
export function LineNotice(): ReactElement | null {
  const { t } = useTranslation();
  const { session } = useLesson();
  const { line, problem } = useLessonState();
  if (line.state === "returning") {
    const words =
      line.code === null
        ? { title: t("lesson.returningTitle"), text: t("lesson.returningText") }
        : { title: t(`errors.${line.code}.title`), text: t(`errors.${line.code}.text`) };
    return (
      <Notice icon="line" {...words}>
        <PressButton icon="again" onPress={() => session.tryNow()}>
          {t("common.tryNow")}
        </PressButton>
      </Notice>
    );
  }
  if (problem !== null) return <Notice title={t(`errors.${problem}.title`)} text={t(`errors.${problem}.text`)} />;
  return null;
}
