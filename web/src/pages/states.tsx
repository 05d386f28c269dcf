import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import type { LessonState } from "../lesson/state";
import { ContactLines } from "../parts/ContactLines";
import { PressButton } from "../parts/PressButton";
import { type ErrorCode, recoveryOf } from "../protocol/errors";
import type { Contact } from "../protocol/values";
import { StatePage } from "./StatePage";

interface ActionProps {
  readonly onAction: () => void;
}

/** Nothing is known of the lesson yet: the first connection, or one that does not come about. */
export function ConnectingPage({ line, contact, onAction }: ActionProps & Pick<LessonState, "line" | "contact">): ReactElement {
  const { t } = useTranslation();
  if (line.state !== "returning") {
    return <StatePage icon="clock" mood="busy" title={t("connecting.title")} text={t("connecting.text")} />;
  }
  const code = line.code ?? "no-answer";
  return (
    <StatePage icon="line" mood="warn" title={t(`errors.${code}.title`)} text={t(`errors.${code}.text`)}>
      <ContactLines contact={contact} />
      <PressButton look="primary" icon="again" onPress={onAction}>
        {t("common.tryNow")}
      </PressButton>
    </StatePage>
  );
}

interface StoppedProps extends ActionProps {
  readonly code: ErrorCode;
  readonly contact: Contact | null;
}

/** Stopped by an error: says which, and offers another try where one can help. */
export function StoppedPage({ code, contact, onAction }: StoppedProps): ReactElement {
  const { t } = useTranslation();
  const helps = recoveryOf(code) !== "final";
  return (
    <StatePage icon="warning" mood="warn" title={t(`errors.${code}.title`)} text={t(`errors.${code}.text`)}>
      <ContactLines contact={contact} />
      {helps ? (
        <PressButton look="primary" icon="again" onPress={onAction}>
          {t("common.tryAgain")}
        </PressButton>
      ) : null}
    </StatePage>
  );
}

/** Another page of the same place goes on with the lesson. */
export function ReplacedPage({ onAction }: ActionProps): ReactElement {
  const { t } = useTranslation();
  return (
    <StatePage icon="screen" mood="ok" title={t("errors.replaced.title")} text={t("errors.replaced.text")}>
      <PressButton look="primary" onPress={onAction}>
        {t("replaced.here")}
      </PressButton>
    </StatePage>
  );
}

export function EndedPage(): ReactElement {
  const { t } = useTranslation();
  return <StatePage icon="done" mood="ok" title={t("ended.title")} text={t("ended.text")} />;
}

export function LeftPage({ onAction }: ActionProps): ReactElement {
  const { t } = useTranslation();
  return (
    <StatePage icon="leave" mood="ok" title={t("left.title")} text={t("left.text")}>
      <PressButton look="primary" onPress={onAction}>
        {t("left.back")}
      </PressButton>
    </StatePage>
  );
}
