import { type ReactElement, useEffect, useRef, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import type { ReceivedSlot } from "../media/peer";
import { useLesson } from "./context";
import { PressButton } from "./PressButton";

interface VoicesProps {
  readonly received: readonly ReceivedSlot[];
}

/**
 * The audio element of each slot's voice, made and started by the playback. Where the browser will not play by
 * itself, a cover asks for a press and starts everything in it: slots that wake later then sound, too.
 */
export function Voices({ received }: VoicesProps): ReactElement {
  const { t } = useTranslation();
  const { playback } = useLesson();
  const blocked = useSyncExternalStore(playback.subscribe, () => playback.blocked);
  return (
    <>
      <div hidden>
        {received.map(({ index, voice }) => (
          <Voice key={index} index={index} track={voice} />
        ))}
      </div>
      {blocked ? (
        <div className="cover" role="alertdialog" aria-labelledby="sound-title" aria-describedby="sound-text">
          <div className="cover-card">
            <h2 id="sound-title">{t("lesson.soundTitle")}</h2>
            <p id="sound-text">{t("lesson.soundText")}</p>
            <PressButton look="primary" icon="speaker" onPress={() => playback.playAll()} autoFocus>
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
}

/** Gives the element its place in the page and its track; the element itself was there before and stays. */
function Voice({ index, track }: VoiceProps): ReactElement {
  const { playback } = useLesson();
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const audio = playback.voice(index);
    place.current?.append(audio);
    audio.srcObject = new MediaStream([track]);
    playback.play(audio);
    return () => {
      audio.srcObject = null;
      audio.remove();
      playback.forget(audio);
    };
  }, [playback, index, track]);
  return <span ref={place} />;
}
