import { type ReactElement, useState } from "react";
import { useTranslation } from "react-i18next";
import { playTestSound } from "../media/test-sound";
import { Icon } from "./Icon";
import { PressButton } from "./PressButton";

type Tried = "speakerUntried" | "speakerPlaying" | "speakerTried" | "speakerFailed";

/** Plays three notes at a press and asks whether they were heard: only a person can tell. */
export function SpeakerCheck(): ReactElement {
  const { t } = useTranslation();
  const [tried, setTried] = useState<Tried>("speakerUntried");
  const play = () => {
    setTried("speakerPlaying");
    playTestSound().then(
      () => setTried("speakerTried"),
      () => setTried("speakerFailed"),
    );
  };
  return (
    <div className="check">
      <Icon name="speaker" />
      <div>
        <b>{t("check.speaker")}</b>
        <small aria-live="polite">{t(`check.${tried}`)}</small>
      </div>
      <PressButton look="small" onPress={play} disabled={tried === "speakerPlaying"}>
        {t("check.speakerPlay")}
      </PressButton>
    </div>
  );
}
