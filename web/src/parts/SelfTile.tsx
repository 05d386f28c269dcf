import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";
import type { Rect } from "../lesson/layout";
import type { Device } from "../media/devices";
import { Icon } from "./Icon";
import { SelfVideo } from "./SelfVideo";
import { placed } from "./Tile";

interface SelfTileProps {
  readonly camera: Device;
  readonly rect: Rect | null;
}

/** The own picture in the lesson: small, mirrored, silent. */
export function SelfTile({ camera, rect }: SelfTileProps): ReactElement {
  const { t } = useTranslation();
  return (
    <figure className="tile self beside" style={placed(rect)} aria-label={t("lesson.self")}>
      {camera.state === "on" ? (
        <>
          <SelfVideo track={camera.track} />
          <figcaption className="name" aria-hidden="true">
            {t("lesson.self")}
          </figcaption>
        </>
      ) : (
        <div className="tile-words">
          <Icon name="cameraOff" />
          <p>{camera.state === "trouble" ? t("lesson.ownNoCamera") : t("lesson.ownCameraOff")}</p>
        </div>
      )}
    </figure>
  );
}
