/** How members and lessons are named in words. */

import type { useTranslation } from "react-i18next";
import type { Lesson, Member, PictureKind } from "../protocol/values";

type Words = ReturnType<typeof useTranslation>["t"];

/** "Iisalmi", "Iisalmi, 8B", "Vieremä, kotona". */
export function placeOf(member: Pick<Member, "site" | "label" | "role">, t: Words): string {
  const where = member.role === "home" ? t("lesson.atHome") : member.role === "workplace" ? t("lesson.atWork") : null;
  return [member.site, member.label, where].filter((part) => part !== null && part !== "").join(", ");
}

/** The one label of a picture: "Iisalmi, 8B · 14", "Närpiö · opettaja", "Närpiö · näyttö". */
export function labelOf(member: Member, kind: PictureKind, t: Words): string {
  if (kind === "screen") return t("lesson.screen", { site: member.site });
  if (kind === "document") return t("lesson.document", { site: member.site });
  const place = placeOf(member, t);
  if (member.teaches) return `${place} · ${t("lesson.teacher")}`;
  return `${place} · ${member.headcount}`;
}

/** The same for a screen reader, where a bare number says nothing. */
export function spokenLabelOf(member: Member, kind: PictureKind, t: Words): string {
  if (kind !== "camera" || member.teaches) return labelOf(member, kind, t);
  return `${placeOf(member, t)}, ${t("common.people", { count: member.headcount })}`;
}

/** "RUB14 Nyheter och medier"; a lesson whose title begins with its course is not named twice. */
export function lessonName(lesson: Lesson): string {
  if (lesson.course === "" || lesson.title.startsWith(lesson.course)) return lesson.title;
  return lesson.title === "" ? lesson.course : `${lesson.course} ${lesson.title}`;
}

/** "Närpiö, tila 204". */
export function ownPlace(you: { readonly site: string; readonly room: string | null }): string {
  return you.room === null ? you.site : `${you.site}, ${you.room}`;
}
