import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import type { Contact } from "../protocol/values";

/** What to do when nothing works, as the server said it while it could be reached. */
export function ContactLines({ contact }: { readonly contact: Contact | null }): ReactElement | null {
  const { t } = useTranslation();
  if (contact === null || (contact.text === "" && contact.phone === "")) return null;
  return (
    <div className="contact">
      {contact.text === "" ? null : <p>{contact.text}</p>}
      {contact.phone === "" ? null : (
        <a href={`tel:${contact.phone.replaceAll(/[^+\d]/g, "")}`}>{t("common.call", { phone: contact.phone })}</a>
      )}
    </div>
  );
}
