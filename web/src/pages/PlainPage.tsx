import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import { Icon } from "../parts/Icon";
import { LanguageSwitch } from "../parts/LanguageSwitch";

/** What this is, for whoever comes without a link. */
export function PlainPage(): ReactElement {
  const { t } = useTranslation();
  return (
    <main className="plain-page">
      <p className="brand">Luokkasilta</p>
      <h1>{t("plain.title")}</h1>
      <p className="lead">{t("plain.text")}</p>
      <div className="card link-card">
        <Icon name="link" />
        <div>
          <h2>{t("plain.linkTitle")}</h2>
          <p>{t("plain.linkText")}</p>
        </div>
      </div>
      <LanguageSwitch />
    </main>
  );
}
