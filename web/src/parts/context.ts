/** The things that every page talks to, and hooks that read them. */

import { createContext, use, useSyncExternalStore } from "react";
import type { LessonSession } from "../lesson/session";
import type { LessonState } from "../lesson/state";
import type { LocalMedia, LocalState } from "../media/devices";
import type { LessonPeer } from "../media/peer";
import type { Playback } from "../media/playback";

export interface Lesson {
  readonly session: LessonSession;
  readonly local: LocalMedia;
  readonly playback: Playback;
}

export const LessonContext = createContext<Lesson | null>(null);

export function useLesson(): Lesson {
  const lesson = use(LessonContext);
  if (lesson === null) throw new Error("a page of a lesson outside of its context");
  return lesson;
}

export function useLessonState(): LessonState {
  const { session } = useLesson();
  return useSyncExternalStore(session.subscribe, () => session.state);
}

export function usePeer(): LessonPeer | null {
  const { session } = useLesson();
  return useSyncExternalStore(session.subscribe, () => session.peer);
}

/** To be called in the press of a join, before anything is awaited in it. */
export function useUnlock(): () => void {
  const { session, playback } = useLesson();
  return () => {
    const { pairs, voices } = session.state.slots;
    playback.unlock(pairs + voices);
  };
}

export function useLocalState(): LocalState {
  const { local } = useLesson();
  return useSyncExternalStore(local.subscribe, () => local.state);
}
