import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import type { DeviceTrouble, LocalState } from "../media/devices";
import { Notice } from "./Notice";
import { PressButton } from "./PressButton";

export interface Trouble {
  readonly device: "camera" | "mic" | "both";
  readonly trouble: DeviceTrouble;
}

/** One trouble for one sentence: both devices with the same reason are said together. */
export function troublesOf({ camera, mic }: LocalState): readonly Trouble[] {
  if (camera.state === "trouble" && mic.state === "trouble" && camera.trouble === mic.trouble) {
    return [{ device: "both", trouble: camera.trouble }];
  }
  const troubles: Trouble[] = [];
  if (camera.state === "trouble") troubles.push({ device: "camera", trouble: camera.trouble });
  if (mic.state === "trouble") troubles.push({ device: "mic", trouble: mic.trouble });
  return troubles;
}

interface DeviceNoticeProps {
  readonly local: LocalState;
  readonly onRetry: () => void;
}

/** Says in words why there is no camera or microphone, and offers to ask again. */
export function DeviceNotices({ local, onRetry }: DeviceNoticeProps): ReactElement {
  const { t } = useTranslation();
  return (
    <>
      {troublesOf(local).map(({ device, trouble }) => (
        <Notice
          key={device}
          icon={device === "mic" ? "micOff" : "cameraOff"}
          title={t(`trouble.${device}.${trouble}.title`)}
          text={t(`trouble.${device}.${trouble}.help`)}
        >
          <PressButton icon="again" onPress={onRetry}>
            {t("common.tryAgain")}
          </PressButton>
        </Notice>
      ))}
    </>
  );
}
