import { type ReactElement, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Device } from "../media/devices";
import { watchLevel } from "../media/level";
import { Icon } from "./Icon";

/** Speech at an arm's length passes this; the hum of a quiet room does not. */
const HEARD_FROM = 0.35;

interface MicCheckProps {
  readonly mic: Exclude<Device, { state: "trouble" }>;
  readonly heard: string;
}

/** A meter that moves with the microphone, and words that say so. */
export function MicCheck({ mic, heard }: MicCheckProps): ReactElement {
  const { t } = useTranslation();
  const track = mic.state === "on" ? mic.track : null;
  const bar = useRef<HTMLDivElement>(null);
  const meter = useRef<HTMLDivElement>(null);
  const [heardTrack, setHeardTrack] = useState<MediaStreamTrack | null>(null);

  useEffect(() => {
    if (track === null) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let shown = 0;
    return watchLevel(track, calm ? 4 : 20, (fraction) => {
      // Up at once, down slowly: else a syllable is gone before the eye has seen it.
      shown = Math.max(fraction, shown * 0.85);
      bar.current?.style.setProperty("transform", `scaleX(${shown})`);
      meter.current?.setAttribute("aria-valuenow", String(Math.round(shown * 100)));
      if (fraction > HEARD_FROM) setHeardTrack(track);
    });
  }, [track]);

  const hears = track !== null && heardTrack === track;
  return (
    <div className="check">
      <Icon name={mic.state === "off" ? "micOff" : "mic"} />
      <div>
        <b aria-live="polite">{hears ? heard : t("check.mic")}</b>
        {track === null ? (
          <small>{t("check.micWaiting")}</small>
        ) : (
          <>
            {hears ? null : <small>{t("check.micTry")}</small>}
            <div
              ref={meter}
              className="meter"
              role="meter"
              aria-label={t("check.micLevel")}
              aria-valuemin={0}
              aria-valuemax={100}
              aria-valuenow={0}
            >
              <div ref={bar} />
            </div>
          </>
        )}
      </div>
    </div>
  );
}
