import { type ReactElement, useState } from "react";
import { Group, ToggleButton } from "react-aria-components";
import { useTranslation } from "react-i18next";
import type { Device } from "../media/devices";
import { ConfirmDialog } from "./ConfirmDialog";
import { useLesson, useLessonState, useLocalState } from "./context";
import { Icon, type IconName } from "./Icon";
import { PressButton } from "./PressButton";

interface ControlsProps {
  /** Says what could not be done, in words. */
  readonly onTrouble: (words: string) => void;
}

/** The foot of the lesson: microphone, camera, sharing, and the way out. */
export function Controls({ onTrouble }: ControlsProps): ReactElement {
  const { t } = useTranslation();
  const { session, local } = useLesson();
  const { you, line } = useLessonState();
  const { camera, mic, screen } = useLocalState();
  const [ending, setEnding] = useState(false);

  const publishes = you?.publish ?? [];
  const canShare = publishes.includes("screen") && local.canShare;
  const mayEnd = you?.may_end === true;

  const share = () => {
    if (screen !== null) local.stopScreen();
    else local.shareScreen().catch(() => onTrouble(t("lesson.shareFailed")));
  };
  const end = () => {
    setEnding(false);
    session.end().catch(() => onTrouble(t("lesson.endFailed")));
  };

  return (
    <footer className="controls">
      <Group className="controls-main" aria-label={t("lesson.controls")}>
        {publishes.includes("mic") ? (
          <DeviceToggle
            device={mic}
            name={t("lesson.mic")}
            icons={["mic", "micOff"]}
            onChange={(on) => void local.setMic(on)}
          />
        ) : null}
        {publishes.includes("camera") ? (
          <DeviceToggle
            device={camera}
            name={t("lesson.camera")}
            icons={["camera", "cameraOff"]}
            onChange={(on) => void local.setCamera(on)}
          />
        ) : null}
        {canShare ? (
          <PressButton className={screen === null ? "" : "sharing"} icon={screen === null ? "screen" : "stop"} onPress={share}>
            {screen === null ? t("lesson.share") : t("lesson.stopSharing")}
          </PressButton>
        ) : null}
      </Group>
      <PressButton
        look="berry"
        icon={mayEnd ? "stop" : "leave"}
        disabled={mayEnd && line.state !== "open"}
        onPress={() => (mayEnd ? setEnding(true) : session.leave())}
      >
        {mayEnd ? t("lesson.end") : t("lesson.leave")}
      </PressButton>
      <ConfirmDialog
        open={ending}
        title={t("lesson.endTitle")}
        text={t("lesson.endText")}
        confirm={t("lesson.endConfirm")}
        cancel={t("lesson.endCancel")}
        onConfirm={end}
        onCancel={() => setEnding(false)}
      >
        <PressButton icon="leave" onPress={() => session.leave()}>
          {t("lesson.leaveForMe")}
        </PressButton>
      </ConfirmDialog>
    </footer>
  );
}

interface DeviceToggleProps {
  readonly device: Device;
  readonly name: string;
  /** On, off. */
  readonly icons: readonly [IconName, IconName];
  readonly onChange: (on: boolean) => void;
}

function DeviceToggle({ device, name, icons, onChange }: DeviceToggleProps): ReactElement {
  const { t } = useTranslation();
  const on = device.state === "on";
  return (
    <ToggleButton
      className="button toggle"
      isSelected={on}
      isDisabled={device.state === "asking"}
      onChange={onChange}
      aria-label={name}
    >
      <Icon name={on ? icons[0] : icons[1]} />
      <span aria-hidden="true">
        {name}
        {on ? null : <span className="toggle-off"> {t("lesson.off")}</span>}
      </span>
    </ToggleButton>
  );
}
