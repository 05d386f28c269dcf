import { type ReactElement, useState } from "react";
import { useTranslation } from "react-i18next";
import { arrange, headcountOf, type TilePlan } from "../lesson/arrange";
import { layOut, type Rect } from "../lesson/layout";
import { otherMembers } from "../lesson/state";
import { Clock } from "../parts/Clock";
import { useLesson, useLessonState, useLocalState, usePeer } from "../parts/context";
import { Controls } from "../parts/Controls";
import { troublesOf } from "../parts/DeviceNotice";
import { Icon } from "../parts/Icon";
import { LanguageMenu } from "../parts/LanguageMenu";
import { LineSign, LostLine, TeacherAway, useTeacherMissing } from "../parts/LineState";
import { lessonName, ownPlace } from "../parts/names";
import { Notice } from "../parts/Notice";
import { PressButton } from "../parts/PressButton";
import { RecordingSign } from "../parts/Recording";
import { SelfTile } from "../parts/SelfTile";
import { placed, QuietTile, SlotTile } from "../parts/Tile";
import { useSize } from "../parts/useSize";
import { Voices } from "../parts/Voices";

/** The live lesson: one large picture, the others beside it, and the few buttons that a lesson needs. */
export function LessonView(): ReactElement {
  const { t } = useTranslation();
  const state = useLessonState();
  const local = useLocalState();
  const peer = usePeer();
  const [area, size] = useSize<HTMLDivElement>();
  const [words, setWords] = useState<string | null>(null);
  const teacherMissing = useTeacherMissing();

  const teaches = state.you?.teaches === true;
  const most = state.slots.pairs;
  const members = otherMembers(state);
  const arrangement = arrange({ members, plays: state.plays, teaches, most });
  const { stage, gallery, beside } = arrangement;
  const layout = layOut({ ...size, others: beside.length, stage: !gallery });
  const rects = new Map<TilePlan, Rect | null>(beside.map((tile, at) => [tile, layout.others[at] ?? null]));
  if (stage !== null) rects.set(stage, layout.stage);
  const tiles = [...rects.keys()];
  const received = peer?.received ?? [];
  const emptyStage = stage === null && (!gallery || beside.length === 0) && state.line.state !== "returning";

  return (
    <main className="lesson night" aria-label={t("lesson.label")}>
      <LessonHead headcount={headcountOf(state.members)} more={arrangement.more} />
      <div className="pictures" ref={area}>
        {emptyStage ? (
          <EmptyStage
            why={state.presence !== "inside" ? "joining" : teaches ? "alone" : teacherMissing ? "away" : "empty"}
            rect={layout.stage}
          />
        ) : null}
        {Array.from({ length: most }, (_, index) => {
          const plan = tiles.find((tile) => tile.index === index) ?? null;
          return (
            <SlotTile
              key={index}
              index={index}
              track={received[index]?.picture ?? null}
              plan={plan}
              rect={plan === null ? null : (rects.get(plan) ?? null)}
              large={plan !== null && (plan === stage || (gallery && beside.length <= 2))}
            />
          );
        })}
        {tiles
          .filter((tile) => tile.index === null)
          .map((tile) => (
            <QuietTile
              key={tile.member.endpoint}
              plan={tile}
              rect={rects.get(tile) ?? null}
              large={tile === stage}
            />
          ))}
        <SelfTile camera={local.camera} rect={layout.self} />
        <LostLine />
      </div>
      <div className="lesson-notices">
        {teacherMissing ? <TeacherAway /> : null}
        <DeviceTroubles />
        {words === null ? null : (
          <Dismissible title={words} text="" onDismiss={() => setWords(null)} />
        )}
      </div>
      <Controls onTrouble={setWords} />
      <Voices received={received} />
    </main>
  );
}

interface LessonHeadProps {
  readonly headcount: number;
  /** Places that take part and are not shown. */
  readonly more: number;
}

function LessonHead({ headcount, more }: LessonHeadProps): ReactElement {
  const { t } = useTranslation();
  const { lesson, you } = useLessonState();
  return (
    <header className="lesson-head">
      <h1>{lesson === null ? "" : lessonName(lesson)}</h1>
      <span className="lesson-place">{you === null ? "" : ownPlace(you)}</span>
      <span className="spring" />
      <span role="status" className="lesson-status">
        <RecordingSign />
        <LineSign />
      </span>
      {more > 0 ? <span className="lesson-more">{t("lesson.more", { count: more })}</span> : null}
      {headcount > 0 ? (
        <span className="lesson-people">
          <Icon name="people" />
          <span className="visually-hidden">{t("common.people", { count: headcount })}</span>
          <span aria-hidden="true">
            <span className="people-word">{t("lesson.present")} </span>
            {headcount}
          </span>
        </span>
      ) : null}
      <LanguageMenu />
      <Clock className="lesson-clock" />
    </header>
  );
}

interface EmptyStageProps {
  /** `away`: the notice below the pictures says the rest. */
  readonly why: "joining" | "alone" | "empty" | "away";
  readonly rect: Rect | null;
}

/** Nobody to show large yet: says for whom the place is kept. */
function EmptyStage({ why, rect }: EmptyStageProps): ReactElement {
  const { t } = useTranslation();
  return (
    <div className={`empty-stage ${rect === null ? "whole" : ""}`} style={rect === null ? {} : placed(rect)} role="status">
      {why === "joining" ? <p className="empty-title">{t("lesson.joining")}</p> : <Icon name="people" />}
      {why === "away" ? <p>{t("lesson.teacherBack")}</p> : null}
      {why === "alone" || why === "empty" ? (
        <>
          <p className="empty-title">{t(`lesson.${why}Title`)}</p>
          <p>{t(`lesson.${why}Text`)}</p>
        </>
      ) : null}
    </div>
  );
}

/** A device that was lost or refused while the lesson goes on; it can be tried again or put aside. */
function DeviceTroubles(): ReactElement {
  const { t } = useTranslation();
  const { local } = useLesson();
  const state = useLocalState();
  const [aside, setAside] = useState<string | null>(null);
  const troubles = troublesOf(state);
  const name = troubles.map(({ device, trouble }) => `${device}/${trouble}`).join(" ");
  if (name === "" || name === aside) return <></>;
  return (
    <>
      {troubles.map(({ device, trouble }) => (
        <Dismissible
          key={device}
          title={t(`trouble.${device}.${trouble}.title`)}
          text={t(`trouble.${device}.${trouble}.help`)}
          onRetry={() =>
            void local.acquire({ camera: state.camera.state === "trouble", mic: state.mic.state === "trouble" })
          }
          onDismiss={() => setAside(name)}
        />
      ))}
    </>
  );
}

interface DismissibleProps {
  readonly title: string;
  readonly text: string;
  readonly onRetry?: () => void;
  readonly onDismiss: () => void;
}

function Dismissible({ title, text, onRetry, onDismiss }: DismissibleProps): ReactElement {
  const { t } = useTranslation();
  return (
    <Notice title={title} text={text}>
      <div className="notice-buttons">
        {onRetry === undefined ? null : (
          <PressButton icon="again" onPress={onRetry}>
            {t("common.tryAgain")}
          </PressButton>
        )}
        <PressButton icon="close" onPress={onDismiss}>
          {t("common.close")}
        </PressButton>
      </div>
    </Notice>
  );
}
