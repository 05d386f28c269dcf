import type { ReactElement } from "react";
import { Button, Group, Input, Label, NumberField } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { Icon } from "./Icon";

interface HeadcountFieldProps {
  readonly value: number;
  readonly onChange: (value: number) => void;
}

/** How many people sit before the camera: 1 to 500 (PROTOCOL.md section 3). */
export function HeadcountField({ value, onChange }: HeadcountFieldProps): ReactElement {
  const { t } = useTranslation();
  return (
    <NumberField
      className="field"
      value={value}
      minValue={1}
      maxValue={500}
      // An emptied field is NaN until it is filled again.
      onChange={(entered) => onChange(Number.isNaN(entered) ? 1 : entered)}
    >
      <Label>{t("school.headcount")}</Label>
      <Group className="stepper">
        <Button slot="decrement" className="button" aria-label={t("common.fewer")}>
          <Icon name="minus" />
        </Button>
        <Input inputMode="numeric" />
        <Button slot="increment" className="button" aria-label={t("common.more")}>
          <Icon name="plus" />
        </Button>
      </Group>
    </NumberField>
  );
}
