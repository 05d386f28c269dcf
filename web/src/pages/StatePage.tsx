import type { ReactElement, ReactNode } from "react";
import { Icon, type IconName } from "../parts/Icon";
import { LanguageSwitch } from "../parts/LanguageSwitch";

interface StatePageProps {
  readonly icon: IconName;
  readonly title: string;
  readonly text: string;
  /** `busy` moves a little, `ok` is good news, `warn` needs a look. */
  readonly mood: "busy" | "ok" | "warn";
  readonly children?: ReactNode;
}

/** A page with one thing to say: loading, refused, ended, left. */
export function StatePage({ icon, title, text, mood, children }: StatePageProps): ReactElement {
  return (
    <main className="state-page">
      <div className="state-card" role={mood === "warn" ? "alert" : "status"}>
        <span className={`state-icon ${mood}`}>
          <Icon name={icon} />
        </span>
        <h1>{title}</h1>
        <p>{text}</p>
        {children === undefined ? null : <div className="state-more">{children}</div>}
      </div>
      <LanguageSwitch />
    </main>
  );
}
