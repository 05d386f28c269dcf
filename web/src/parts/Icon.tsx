import type { ReactElement } from "react";

/** Line drawings on a 24 by 24 grid. They stand beside words and are hidden from screen readers. */
const PATHS = {
  mic: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5 11a7 7 0 0 0 14 0M12 18v3",
  micOff: "M9 9v2a3 3 0 0 0 5 2.200M15 9.500V6a3 3 0 0 0-5.700-1.300M5 11a7 7 0 0 0 11.500 5.400M19 11a7 7 0 0 1-.700 3M12 18v3M3 3l18 18",
  camera: "M5 6h9a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2zM16 10l5-3v10l-5-3",
  cameraOff: "M9.500 6H14a2 2 0 0 1 2 2v4.500M16 16.500A2 2 0 0 1 14 18H5a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2M16 10l5-3v10l-3-1.800M3 3l18 18",
  screen: "M5 4h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2zM8 20h8M12 16v4",
  speaker: "M4 9h4l5-4v14l-5-4H4zM17 8a6 6 0 0 1 0 8",
  play: "M7 4.500v15l12-7.500z",
  people: "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20a6.500 6.500 0 0 1 13 0M16 4.300a3.500 3.500 0 0 1 0 6.400M18 14.200a6.500 6.500 0 0 1 3.500 5.800",
  warning: "M12 4l9 16H3zM12 10v4M12 17.300v.010",
  leave: "M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8M10 12h11M17 8l4 4-4 4",
  stop: "M6 6h12v12H6z",
  minus: "M5 12h14",
  plus: "M5 12h14M12 5v14",
  again: "M4 12a8 8 0 0 1 14-5.300L20 9M20 4v5h-5M20 12a8 8 0 0 1-14 5.300L4 15M4 20v-5h5",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.500 2",
  done: "M5 12.500l4.500 4.500L19 7",
  record: "M12 18a6 6 0 1 0 0-12 6 6 0 0 0 0 12z",
  line: "M2.500 9a14 14 0 0 1 19 0M6 12.700a9 9 0 0 1 12 0M9.500 16.300a4 4 0 0 1 5 0M12 20v.010",
  globe: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM3.500 9h17M3.500 15h17M12 3c-5 5-5 13 0 18M12 3c5 5 5 13 0 18",
  close: "M6 6l12 12M18 6L6 18",
  link: "M10 14a4 4 0 0 0 5.700 0l3-3a4 4 0 0 0-5.700-5.700l-1 1M14 10a4 4 0 0 0-5.700 0l-3 3a4 4 0 0 0 5.700 5.700l1-1",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }): ReactElement {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} fill={name === "play" || name === "record" ? "currentColor" : undefined} />
    </svg>
  );
}
