import type { ReactElement, ReactNode } from "react";
import { Icon, type IconName } from "./Icon";

interface NoticeProps {
  readonly title: string;
  readonly text: string;
  readonly icon?: IconName;
  /** What the reader can do: a button. */
  readonly children?: ReactNode;
}

/** Something needs a look: what happened, and what can be done. Read aloud when it appears. */
export function Notice({ title, text, icon = "warning", children }: NoticeProps): ReactElement {
  return (
    <div className="notice" role="alert">
      <Icon name={icon} />
      <div>
        <b>{title}</b>
        <p>{text}</p>
      </div>
      {children}
    </div>
  );
}
