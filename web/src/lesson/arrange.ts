/**
 * Who is shown where: from what the slots play and who takes part to one stage, the pictures beside it, and what
 * each says. Pure; the server decides what plays, this only decides how large.
 */

import type { Member, PictureKind, Play } from "../protocol/values";
import { isPicture } from "../protocol/values";

export interface TilePlan {
  /** The slot that plays it; null for a member with neither picture nor voice at the moment. */
  readonly index: number | null;
  readonly member: Member;
  readonly kind: PictureKind;
  /** Nothing to see: the source is off, or only the voice plays. Words stand in its place. */
  readonly pictureOff: boolean;
  readonly micOff: boolean;
}

export interface Arrangement {
  /** What is shown large, or null: nobody is there yet, or all are equal (`gallery`). */
  readonly stage: TilePlan | null;
  /** True for a teacher, who sees all classes equally large while nothing is on the stage. */
  readonly gallery: boolean;
  /** All but the stage, in the order in which the members came. */
  readonly beside: readonly TilePlan[];
  /** How many members there is no room for. */
  readonly more: number;
}

export interface ArrangeInput {
  /** Everybody else, in the order in which they came. */
  readonly members: readonly Member[];
  readonly plays: readonly Play[];
  /** Does this endpoint teach? */
  readonly teaches: boolean;
  /** Tiles to show at most: the pairs of this endpoint. */
  readonly most: number;
}

export function arrange({ members, plays, teaches, most }: ArrangeInput): Arrangement {
  const everyTile = members.flatMap((member) => tilesOf(member, plays));
  // A picture is never left out for a member that has none.
  const playing = everyTile.filter((tile) => tile.index !== null);
  const quiet = everyTile.filter((tile) => tile.index === null).slice(0, Math.max(0, most - playing.length));
  const tiles = everyTile.filter((tile) => tile.index !== null || quiet.includes(tile));
  const stage = pickStage(tiles);
  return {
    stage,
    gallery: teaches && stage === null,
    beside: tiles.filter((tile) => tile !== stage),
    more: new Set(everyTile.filter((tile) => !tiles.includes(tile)).map((tile) => tile.member.endpoint)).size,
  };
}

/** A member's camera first, then what it shares; a member that plays nowhere still takes part. */
function tilesOf(member: Member, plays: readonly Play[]): TilePlan[] {
  const shown = plays.flatMap((play) => planTile(member, play) ?? []);
  shown.sort((one, other) => Number(one.kind !== "camera") - Number(other.kind !== "camera"));
  if (shown.some((tile) => tile.kind === "camera")) return shown;
  return [{ index: null, member, kind: "camera", pictureOff: true, micOff: micOff(member) }, ...shown];
}

function planTile(member: Member, { index, picture, voice }: Play): TilePlan | null {
  if (picture?.endpoint === member.endpoint && isPicture(picture.kind)) {
    const { kind } = picture;
    return {
      index,
      member,
      kind,
      pictureOff: member.sources[kind] === false,
      micOff: kind === "camera" && micOff(member),
    };
  }
  if (picture === null && voice?.endpoint === member.endpoint && voice.kind === "mic") {
    return { index, member, kind: "camera", pictureOff: true, micOff: micOff(member) };
  }
  return null;
}

function micOff(member: Member): boolean {
  return member.sources.mic !== true;
}

/** What is shared goes first, the teacher's before others'; then the teacher who came first. */
function pickStage(tiles: readonly TilePlan[]): TilePlan | null {
  const shared = tiles.filter((tile) => tile.kind !== "camera" && !tile.pictureOff);
  const teachers = tiles.filter((tile) => tile.kind === "camera" && tile.member.teaches);
  return (
    shared.find((tile) => tile.member.teaches) ??
    shared[0] ??
    teachers.find((tile) => !tile.pictureOff) ??
    teachers[0] ??
    null
  );
}

/** The people in a lesson, as their endpoints count them; a teacher's own room counts its teacher. */
export function headcountOf(members: readonly Member[]): number {
  return members.reduce((sum, member) => sum + member.headcount, 0);
}
