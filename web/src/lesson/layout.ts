/**
 * Where each picture lies, in CSS pixels of the area between header and footer. Pure: the elements stay the same,
 * only their rectangles change, so a picture never starts again because another one came.
 */

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface LayoutInput {
  readonly width: number;
  readonly height: number;
  /** Pictures beside the stage, or all of them in a gallery. */
  readonly others: number;
  /** Is there a large picture (or the empty stage that waits for one)? Else all are equal. */
  readonly stage: boolean;
}

export interface Layout {
  readonly stage: Rect | null;
  readonly others: readonly Rect[];
  /** The own picture. */
  readonly self: Rect;
}

const ASPECT = 16 / 9;
const GAP = 12;
/** Below this width a class beside the stage is a few dots, and a second column is better. */
const SMALLEST_BESIDE = 180;

export function layOut(input: LayoutInput): Layout {
  if (!input.stage) return layOutGallery(input);
  return input.width >= input.height * 1.2 ? layOutBeside(input) : layOutBelow(input);
}

/** Wide: the stage at the left, the others in a column at the right, the own picture at its foot. */
function layOutBeside({ width, height, others }: LayoutInput): Layout {
  const cells = others + 1;
  const wanted = clamp(width * 0.21, 120, 640);
  const columns = widthFor(cells, height) >= Math.min(wanted, SMALLEST_BESIDE) ? 1 : 2;
  const aside =
    columns === 1
      ? Math.min(wanted, widthFor(cells, height))
      : Math.min(wanted * 1.4, 2 * widthFor(Math.ceil(cells / 2), height) + GAP);
  const stage = fit({ x: 0, y: 0, width: width - aside - GAP, height });
  const cellWidth = (aside - GAP * (columns - 1)) / columns;
  const rows = Math.ceil(cells / columns);
  const needed = heightOf(rows, cellWidth);
  // In line with the stage where there is room, else wherever it fits.
  const top = Math.max(0, Math.min(stage.y, height - needed));
  const all = gridCells(cells, columns, cellWidth, width - aside, top);
  const last = all[cells - 1] ?? stage;
  const foot = Math.max(last.y, stage.y + stage.height - last.height);
  return { stage, others: all.slice(0, others), self: { ...last, x: width - cellWidth, y: foot } };
}

/** Tall: the stage on top, the others below it, the own picture in the stage's corner. */
function layOutBelow({ width, height, others }: LayoutInput): Layout {
  const stageHeight = Math.min(width / ASPECT, others === 0 ? height : height * 0.6);
  const top = others === 0 ? Math.max(0, (height - stageHeight) * 0.3) : 0;
  const stage = fit({ x: 0, y: top, width, height: stageHeight });
  const below = { x: 0, y: stageHeight + GAP, width, height: Math.max(0, height - stageHeight - GAP) };
  // Two beside each other, even where one below the other would be a hair wider.
  return { stage, others: bestGrid(others, below, 3, 0.8), self: corner(stage, 0.27) };
}

/** All equal, as large as the area allows; the own picture in the last corner. */
function layOutGallery({ width, height, others }: LayoutInput): Layout {
  const area = { x: 0, y: 0, width, height };
  const share = others === 0 ? 0.3 : 0.17;
  const self = corner(area, width < 600 ? Math.max(share, 0.3) : share);
  const cells = bestGrid(others, area, others, 1);
  // In the middle, but rather above it than under the own picture.
  const used = Math.max(0, ...cells.map((cell) => cell.y + cell.height));
  const spare = height - used;
  const down = Math.max(0, Math.min(spare / 2, spare - self.height - 2 * GAP));
  return { stage: null, others: cells.map((cell) => ({ ...cell, y: cell.y + down })), self };
}

/** The columns, up to `most`, with the widest cells; another column may cost `tolerance` of the width. */
function bestGrid(cells: number, area: Rect, most: number, tolerance: number): Rect[] {
  let best = { columns: 1, width: -1 };
  for (let columns = 1; columns <= Math.min(most, cells); columns += 1) {
    const rows = Math.ceil(cells / columns);
    const width = Math.min((area.width - GAP * (columns - 1)) / columns, widthFor(rows, area.height));
    if (width > best.width * (columns > 2 ? 1 : tolerance)) best = { columns, width };
  }
  const width = Math.max(0, best.width);
  const left = area.x + (area.width - width * best.columns - GAP * (best.columns - 1)) / 2;
  return gridCells(cells, best.columns, width, left, area.y);
}

/** 16:9 cells of `width`, row by row from (`left`, `top`). */
function gridCells(cells: number, columns: number, width: number, left: number, top: number): Rect[] {
  const height = width / ASPECT;
  return Array.from({ length: cells }, (_, cell) => ({
    x: left + (cell % columns) * (width + GAP),
    y: top + Math.floor(cell / columns) * (height + GAP),
    width,
    height,
  }));
}

/** How wide a cell can be when `rows` of them stand in `height`. */
function widthFor(rows: number, height: number): number {
  return Math.max(0, ((height - GAP * (rows - 1)) / rows) * ASPECT);
}

function heightOf(rows: number, cellWidth: number): number {
  return (rows * cellWidth) / ASPECT + GAP * (rows - 1);
}

/** The largest 16:9 rectangle in the middle of `area`. */
function fit(area: Rect): Rect {
  const width = Math.max(0, Math.min(area.width, area.height * ASPECT));
  const height = width / ASPECT;
  return { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
}

function corner(area: Rect, share: number): Rect {
  const width = Math.max(0, area.width * share);
  const height = width / ASPECT;
  return { x: area.x + area.width - width - GAP, y: area.y + area.height - height - GAP, width, height };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
