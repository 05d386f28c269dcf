import type { ReactElement } from "react";
import { Button, Menu, MenuItem, MenuTrigger, Popover } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { type Language, LANGUAGE_NAMES, LANGUAGES, storeLanguage } from "../i18n";
import { Icon } from "./Icon";

/** The languages behind one small button, for where three do not fit. */
export function LanguageMenu(): ReactElement {
  const { t, i18n } = useTranslation();
  const choose = (language: Language) => {
    storeLanguage(language);
    void i18n.changeLanguage(language);
  };
  return (
    <MenuTrigger>
      <Button className="language-button" aria-label={`${t("common.language")}: ${i18n.language.toUpperCase()}`}>
        <Icon name="globe" />
        <span aria-hidden="true">{i18n.language.toUpperCase()}</span>
      </Button>
      <Popover className="menu" placement="bottom end">
        <Menu
          aria-label={t("common.language")}
          selectionMode="single"
          disallowEmptySelection
          selectedKeys={[i18n.language]}
        >
          {LANGUAGES.map((language) => (
            <MenuItem
              key={language}
              id={language}
              className="menu-item"
              textValue={LANGUAGE_NAMES[language]}
              onAction={() => choose(language)}
            >
              <span lang={language}>{LANGUAGE_NAMES[language]}</span>
              {language === i18n.language ? <Icon name="done" /> : null}
            </MenuItem>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
