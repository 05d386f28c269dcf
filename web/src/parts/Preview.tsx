import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import type { Device } from "../media/devices";
import { Icon } from "./Icon";
import { SelfVideo } from "./SelfVideo";

interface PreviewProps {
  readonly camera: Exclude<Device, { state: "trouble" }>;
  /** The name on the picture, in words: "You". */
  readonly name: string;
}

const WORDS = {
  idle: "check.cameraWaiting",
  asking: "check.asking",
  off: "lesson.ownCameraOff",
} as const;

/** The own picture before the lesson; its size is known before the camera is. */
export function Preview({ camera, name }: PreviewProps): ReactElement {
  const { t } = useTranslation();
  return (
    <figure className="preview">
      {camera.state === "on" ? (
        <SelfVideo track={camera.track} />
      ) : (
        <div className="preview-words" aria-live="polite">
          <Icon name={camera.state === "off" ? "cameraOff" : "camera"} />
          <p>{t(WORDS[camera.state])}</p>
        </div>
      )}
      {camera.state === "on" ? <figcaption className="name">{name}</figcaption> : null}
    </figure>
  );
}
