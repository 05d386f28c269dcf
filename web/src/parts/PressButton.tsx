import type { ReactElement, ReactNode } from "react";
import { Button } from "react-aria-components";
import { Icon, type IconName } from "./Icon";

interface PressButtonProps {
  readonly onPress?: () => void;
  /** A `submit` button acts through its form instead of `onPress`. */
  readonly type?: "button" | "submit";
  readonly children: ReactNode;
  readonly icon?: IconName;
  /** `primary` is the one action of a page; `berry` ends or removes. */
  readonly look?: "plain" | "primary" | "berry" | "small";
  readonly disabled?: boolean;
  readonly className?: string;
  readonly autoFocus?: boolean;
}

export function PressButton(props: PressButtonProps): ReactElement {
  const { onPress, children, icon, look = "plain", disabled = false, className = "", autoFocus = false, type = "button" } = props;
  return (
    <Button
      className={`button ${look} ${className}`}
      type={type}
      {...(onPress === undefined ? {} : { onPress })}
      isDisabled={disabled}
      autoFocus={autoFocus}
    >
      {icon === undefined ? null : <Icon name={icon} />}
      <span>{children}</span>
    </Button>
  );
}
