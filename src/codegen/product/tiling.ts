/**
 * How a product is cut into tiles: of the forms and sizes that registers allow, the one that takes the fewest cycles.
 * Cycles are estimated as the machine has them: one instruction is issued a cycle. A vector unit works beside its core,
 * so of the issue of instructions, its lanes and its accesses whatever takes longest counts; the latter take a cycle for
 * each register of a group, accesses one for each element where those lie apart. Where the unit keeps its core waiting,
 * all of that adds up, and the same tiles are good.
 */

import type { Isa } from "../isa.ts";
import { type Product, type Side, swapped, WORD } from "./product.ts";

/** Elements of a vector register. */
export const LANES = 4;

export interface TileSize {
  readonly rows: number;
  readonly columns: number;
  /** Elements along the summed axis that one turn of the loop takes. */
  readonly unroll: number;
}

export type Form =
  /** Scalar registers, each one sum. */
  | "scalar"
  /** The same, with operands that come from streams; a tile is as high as is wanted. */
  | "streams"
  /** Each register group holds neighbouring columns of one row. */
  | "columns"
  /** Each register group holds parts of one sum, of neighbours along the summed axis. */
  | "along";

export interface Tiling {
  readonly form: Form;
  /** Registers of a group. */
  readonly group: number;
  /** Whether rows and columns have changed places. */
  readonly swapped: boolean;
  readonly size: TileSize;
}

/** Blocks of an axis: `big` of so many elements, then `small` of one less. */
export interface Blocks {
  readonly width: number;
  readonly big: number;
  readonly small: number;
}

/** The fewest blocks of at most `most` elements, as equal as can be. */
export function blocksOf(size: number, most: number): Blocks {
  const count = Math.ceil(size / most);
  const width = Math.ceil(size / Math.max(1, count));
  const small = count * width - size;
  return { width, big: count - small, small };
}

export const countOf = ({ big, small }: Blocks): number => big + small;

const FLOATS = 32;
const GROUPS = [1, 2, 4, 8] as const;
/** From the last multiply-add of a tile to its store, and from the first load of the next to its first multiply-add. */
const EDGE = 12;
/** What halves the parts of a sum until one is left. */
const REDUCTION = 8;
/** Instructions that a tile takes beside its sums: pointers and counters. */
const TILE_OVERHEAD = 16;
/** Instructions of one tile's body: what there are variants of stays small. */
const MOST_BODY = 700;

interface Candidate {
  readonly tiling: Tiling;
  /** Cycles of one tile. */
  readonly cycles: number;
}

/** The tiling that takes the cores the shortest time for `count` such products. */
export function tilingOf(p: Product, isa: Isa, cores: number, count: number): Tiling {
  const candidates = isa.vector
    ? [p, swapped(p)].flatMap((q, i) => vectorForms(q, i === 1))
    : isa.streams && p.depth > 0
      ? [p, swapped(p)].flatMap((q, i) => streamForms(q, i === 1, cores, count))
      : scalarForms(p);
  const time = ({ tiling, cycles }: Candidate): number => {
    const [a, b] = tiling.swapped ? [p.columns, p.rows] : [p.rows, p.columns];
    const tiles =
      countOf(blocksOf(a.size, tiling.size.rows)) * countOf(blocksOf(b.size, tiling.size.columns));
    return Math.ceil((tiles * count) / cores) * cycles;
  };
  const [best] = candidates.toSorted((a, b) => time(a) - time(b));
  if (!best) throw new Error("a product has no tiling");
  return best.tiling;
}

/** Sizes that are tried: as they turn out when the axis is cut evenly. */
function sizesOf({ size }: Side, most: number): readonly number[] {
  const sizes = Array.from({ length: Math.min(most, size) }, (_, i) => blocksOf(size, i + 1).width);
  return [...new Set(sizes)];
}

function unrollOf(depth: number, each: number): number {
  const fits = [8, 4, 2].find((u) => u <= depth && u * each <= MOST_BODY / 2);
  return fits ?? 1;
}

/** Instructions that move pointers, for each element along the summed axis. */
const moves = ({ along }: Side, count: number, unroll: number): number =>
  along === WORD ? Math.ceil(count / 4) / unroll : 1;

function scalarForms(p: Product): readonly Candidate[] {
  const out: Candidate[] = [];
  for (const rows of sizesOf(p.rows, FLOATS)) {
    for (const columns of sizesOf(p.columns, FLOATS)) {
      const sums = rows * columns;
      if (sums + rows + Math.min(2, columns) > FLOATS) continue;
      const each = sums + rows + columns;
      const unroll = unrollOf(p.depth, each);
      const step = each + moves(p.rows, rows, unroll) + moves(p.columns, columns, unroll);
      const last = sums * (p.beta === null ? 1 : 3) + rows + columns;
      // A sum waits for its last multiply-add where there are few of them.
      const cycles = p.depth * Math.max(4, step) + last + TILE_OVERHEAD;
      out.push(candidate("scalar", 1, false, { rows, columns, unroll }, cycles));
    }
  }
  return out;
}

/** Columns whose sums are taken at once: more would hardly save anything. */
const MOST_STREAMED = 16;
/** Instructions that start the streams of a row of tiles. */
const STREAM_START = 64;
/** Instructions that a row of a tile takes beside its multiply-adds. */
const STREAM_OVERHEAD = 4;

function streamForms(
  p: Product,
  isSwapped: boolean,
  cores: number,
  count: number,
): readonly Candidate[] {
  const out: Candidate[] = [];
  const rounds = [1, 2, 3, 4, 6, 8].flatMap((n) => [n, n * cores]);
  const heights = new Set(
    [...rounds, p.rows.size].map((n) => blocksOf(p.rows.size, Math.ceil(p.rows.size / n)).width),
  );
  for (const rows of heights) {
    const panels = countOf(blocksOf(p.rows.size, rows));
    for (const columns of sizesOf(p.columns, MOST_STREAMED)) {
      const across = countOf(blocksOf(p.columns.size, columns));
      const sums = Math.max(4, columns) * p.depth;
      const last = (p.beta === null ? 0 : columns) + (p.alpha === 1 ? 0 : columns);
      // Streams are started once for what a core has of a row of tiles.
      const together = Math.max(1, Math.min(across, (across * panels * count) / cores));
      const cycles = rows * (sums + last + STREAM_OVERHEAD) + STREAM_START / together;
      out.push(candidate("streams", 1, isSwapped, { rows, columns, unroll: 1 }, cycles));
    }
  }
  return out;
}

const candidate = (
  form: Form,
  group: number,
  isSwapped: boolean,
  size: TileSize,
  cycles: number,
): Candidate => ({ tiling: { form, group, swapped: isSwapped, size }, cycles });

const vectorForms = (p: Product, isSwapped: boolean): readonly Candidate[] => [
  ...columnForms(p, isSwapped),
  ...alongForms(p, isSwapped),
];

/** Cycles of a load or store of so many elements. */
const vectorAccess = (count: number, step: number): number =>
  step === WORD ? Math.ceil(count / LANES) : count;

/** Register groups that there are: v0 is left to masks. */
const groupsOf = (group: number): number => Math.floor(FLOATS / group) - 1;

function columnForms(p: Product, isSwapped: boolean): readonly Candidate[] {
  const out: Candidate[] = [];
  for (const group of GROUPS) {
    const { width: columns } = blocksOf(p.columns.size, group * LANES);
    const beats = Math.ceil(columns / LANES);
    const load = vectorAccess(columns, p.columns.step);
    // Two groups of columns: one is loaded while the other is multiplied.
    for (const rows of sizesOf(p.rows, Math.min(16, groupsOf(group) - 2))) {
      const unroll = Math.max(2, unrollOf(p.depth - 1, 2 * rows + 2));
      const issued = 2 * rows + 2 + moves(p.rows, rows, unroll);
      const step = Math.max(issued, rows * beats, load);
      const each = vectorAccess(columns, p.columns.out);
      const last = rows * each * (p.beta === null ? 1 : 2);
      const cycles = p.depth * step + load + last + EDGE + TILE_OVERHEAD;
      out.push(candidate("columns", group, isSwapped, { rows, columns, unroll }, cycles));
    }
  }
  return out;
}

function alongForms(p: Product, isSwapped: boolean): readonly Candidate[] {
  if (p.rows.along !== WORD || p.columns.along !== WORD) return [];
  const out: Candidate[] = [];
  for (const group of GROUPS) {
    const [chunk, groups] = [group * LANES, groupsOf(group)];
    const chunks = Math.ceil(p.depth / chunk);
    for (const rows of sizesOf(p.rows, 4)) {
      for (const columns of sizesOf(p.columns, 12)) {
        if (rows * columns + rows + 1 > groups) continue;
        const [sums, loads] = [rows * columns, rows + columns];
        const step = Math.max(sums + 2 * loads, sums * group, loads * group);
        const last = sums * (group + REDUCTION);
        const cycles = chunks * step + last + EDGE + TILE_OVERHEAD;
        out.push(candidate("along", group, isSwapped, { rows, columns, unroll: 1 }, cycles));
      }
    }
  }
  return out;
}
