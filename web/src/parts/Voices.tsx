import { type ReactElement, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { ReceivedSlot } from "../media/peer";
import { PressButton } from "./PressButton";

interface VoicesProps {
  readonly received: readonly ReceivedSlot[];
}

/**
 * One audio element for each slot's voice, made once. Where the browser will not play sound by itself, a
 * cover asks for a press and starts them all in it: slots that wake later then sound, too.
 */
export function Voices({ received }: VoicesProps): ReactElement {
  const { t } = useTranslation();
  const container = useRef<HTMLDivElement>(null);
  const [blocked, setBlocked] = useState(false);

  const playAll = () => {
    setBlocked(false);
    for (const audio of container.current?.querySelectorAll("audio") ?? []) {
      audio.play().catch((error: unknown) => setBlocked(isBlocked(error)));
    }
  };

  return (
    <>
      <div ref={container} hidden>
        {received.map(({ index, voice }) => (
          <Voice key={index} index={index} track={voice} onBlocked={() => setBlocked(true)} />
        ))}
      </div>
      {blocked ? (
        <div className="cover" role="alertdialog" aria-labelledby="sound-title" aria-describedby="sound-text">
          <div className="cover-card">
            <h2 id="sound-title">{t("lesson.soundTitle")}</h2>
            <p id="sound-text">{t("lesson.soundText")}</p>
            <PressButton look="primary" icon="speaker" onPress={playAll} autoFocus>
              {t("lesson.soundButton")}
            </PressButton>
          </div>
        </div>
      ) : null}
    </>
  );
}

interface VoiceProps {
  readonly index: number;
  readonly track: MediaStreamTrack;
  readonly onBlocked: () => void;
}

function Voice({ index, track, onBlocked }: VoiceProps): ReactElement {
  const element = useRef<HTMLAudioElement>(null);
  const blocked = useRef(onBlocked);
  useEffect(() => {
    blocked.current = onBlocked;
  });
  useEffect(() => {
    const audio = element.current;
    if (audio === null) return;
    audio.srcObject = new MediaStream([track]);
    audio.play().catch((error: unknown) => {
      if (isBlocked(error)) blocked.current();
    });
    return () => {
      audio.srcObject = null;
    };
  }, [track]);
  return <audio ref={element} autoPlay data-voice={index} />;
}

function isBlocked(error: unknown): boolean {
  return error instanceof DOMException && error.name === "NotAllowedError";
}
