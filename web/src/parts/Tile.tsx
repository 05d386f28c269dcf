import { type CSSProperties, type ReactElement, type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { TilePlan } from "../lesson/arrange";
import type { Rect } from "../lesson/layout";
import { useLesson } from "./context";
import { Icon } from "./Icon";
import { labelOf, placeOf, spokenLabelOf } from "./names";

/** Lays an element on its rectangle; without one it is hidden where it was, never removed. */
export function placed(rect: Rect | null): CSSProperties {
  if (rect === null) return { display: "none" };
  return { left: rect.x, top: rect.y, width: rect.width, height: rect.height };
}

interface SlotTileProps {
  readonly index: number;
  /** The slot's picture as long as this join lasts, whatever plays in it. */
  readonly track: MediaStreamTrack | null;
  /** What the slot shows now, or null: empty. */
  readonly plan: TilePlan | null;
  readonly rect: Rect | null;
  readonly large: boolean;
}

/** One picture slot. Its video element is made once and stays; what plays, where and how large changes. */
export function SlotTile({ index, track, plan, rect, large }: SlotTileProps): ReactElement {
  const { playback } = useLesson();
  const element = useRef<HTMLVideoElement>(null);
  const shown = plan === null ? null : `${plan.member.endpoint}/${plan.kind}/${plan.pictureOff}`;
  const seen = useFirstFrame(element, track, shown);

  useEffect(() => {
    const video = element.current;
    if (video === null || track === null) return;
    video.srcObject = new MediaStream([track]);
    // A phone that saves its battery refuses even a silent picture without a press.
    playback.play(video);
    return () => {
      video.srcObject = null;
      playback.forget(video);
    };
  }, [playback, track]);

  const hasPicture = plan?.pictureOff === false && seen;
  return (
    <TileFrame plan={plan} rect={rect} large={large} hasPicture={hasPicture}>
      <video
        ref={element}
        muted
        playsInline
        autoPlay
        aria-hidden="true"
        data-slot={index}
        data-endpoint={plan?.member.endpoint}
        data-kind={plan?.kind}
      />
    </TileFrame>
  );
}

interface QuietTileProps {
  readonly plan: TilePlan;
  readonly rect: Rect | null;
  readonly large: boolean;
}

/** A member that takes part and sends neither picture nor voice. */
export function QuietTile({ plan, rect, large }: QuietTileProps): ReactElement {
  return (
    <TileFrame plan={plan} rect={rect} large={large} hasPicture={false}>
      {null}
    </TileFrame>
  );
}

interface TileFrameProps extends Omit<QuietTileProps, "plan"> {
  readonly plan: TilePlan | null;
  readonly hasPicture: boolean;
  readonly children: ReactNode;
}

function TileFrame({ plan, rect, large, hasPicture, children }: TileFrameProps): ReactElement {
  const { t } = useTranslation();
  const away = plan?.member.away === true;
  const spoken = plan === null ? undefined : spokenLabelOf(plan.member, plan.kind, t);
  return (
    <figure
      className={`tile ${large ? "large" : "beside"} ${plan?.kind ?? "camera"}`}
      style={placed(plan === null ? null : rect)}
      data-picture={hasPicture ? "shown" : "none"}
      data-away={away ? "" : undefined}
      aria-label={away ? `${spoken ?? ""}, ${t("lesson.away")}` : spoken}
      aria-hidden={plan === null || rect === null}
    >
      {children}
      {plan === null ? null : (
        <>
          {away ? <AwayWords /> : null}
          {hasPicture || away ? null : (
            <div className="tile-words">
              {plan.pictureOff ? <Icon name="cameraOff" /> : null}
              <p>{plan.pictureOff ? t("lesson.cameraOff") : t("lesson.pictureComing")}</p>
            </div>
          )}
          <figcaption className="name" aria-hidden="true">
            {large || plan.kind !== "camera" ? labelOf(plan.member, plan.kind, t) : <Shortened plan={plan} />}
          </figcaption>
          {plan.micOff && !away && plan.kind === "camera" ? (
            <span className="tile-tag">
              <Icon name="micOff" />
              <span>{t("lesson.micOff")}</span>
            </span>
          ) : null}
        </>
      )}
    </figure>
  );
}

/** Over the last picture, which is dimmed: what is seen is not now. */
function AwayWords(): ReactElement {
  const { t } = useTranslation();
  return (
    <div className="tile-away">
      <span className="chip warn">
        <Icon name="line" />
        <span>{t("lesson.away")}</span>
      </span>
    </div>
  );
}

/** In a small picture the place gives way and the head count stays. */
function Shortened({ plan }: { readonly plan: TilePlan }): ReactElement {
  const { t } = useTranslation();
  const { member } = plan;
  return (
    <span className="shortened">
      <span className="place">{placeOf(member, t)}</span>
      <span className="count"> · {member.teaches ? t("lesson.teacher") : member.headcount}</span>
    </span>
  );
}

/**
 * Whether a frame came since `shown` last changed: until then the element still holds the last frame of
 * whoever played before, which must not stand under another name.
 */
function useFirstFrame(
  element: React.RefObject<HTMLVideoElement | null>,
  track: MediaStreamTrack | null,
  shown: string | null,
): boolean {
  const [seen, setSeen] = useState<string | null>(null);
  useEffect(() => {
    const video = element.current;
    if (video === null || track === null || shown === null) return;
    const request = video.requestVideoFrameCallback(() => setSeen(shown));
    return () => {
      video.cancelVideoFrameCallback(request);
      setSeen(null);
    };
  }, [element, track, shown]);
  return shown !== null && seen === shown;
}
