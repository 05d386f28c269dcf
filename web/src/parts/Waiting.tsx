import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import { useLesson } from "./context";
import { Icon } from "./Icon";
import { PressButton } from "./PressButton";

interface WaitingProps {
  /** A group is spoken to as many, a pupil at home as one. */
  readonly who: "school" | "home";
}

/** Joined in advance: it goes on by itself when the teacher opens the lesson. */
export function Waiting({ who }: WaitingProps): ReactElement {
  const { t } = useTranslation();
  const { session } = useLesson();
  return (
    <div className="waiting">
      <div role="status">
        <span className="state-icon busy">
          <Icon name="clock" />
        </span>
        <h2>{t(`${who}.waitTitle`)}</h2>
        <p>{t(`${who}.waitText`)}</p>
      </div>
      <PressButton onPress={() => session.cancelJoin()}>{t("school.waitCancel")}</PressButton>
    </div>
  );
}
