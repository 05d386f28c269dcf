import type { ReactElement } from "react";
import { ToggleButton, ToggleButtonGroup } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { LANGUAGE_NAMES, LANGUAGES, storeLanguage } from "../i18n";

export function LanguageSwitch(): ReactElement {
  const { t, i18n } = useTranslation();
  return (
    <ToggleButtonGroup
      className="languages"
      aria-label={t("common.language")}
      selectionMode="single"
      disallowEmptySelection
      selectedKeys={[i18n.language]}
      onSelectionChange={(keys) => {
        const chosen = LANGUAGES.find((language) => keys.has(language));
        if (chosen === undefined) return;
        storeLanguage(chosen);
        void i18n.changeLanguage(chosen);
      }}
    >
      {LANGUAGES.map((language) => (
        <ToggleButton key={language} id={language} className="button" lang={language}>
          {LANGUAGE_NAMES[language]}
        </ToggleButton>
      ))}
    </ToggleButtonGroup>
  );
}
