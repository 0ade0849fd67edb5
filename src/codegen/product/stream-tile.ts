/**
 * Tiles of a product on cores with streams: both operands come out of registers in the order in which they are
 * multiplied, and the sums of some columns are taken by instructions that are repeated along the summed axis. Nothing but
 * multiply-adds is issued there, a cycle each: of a core's peak only what begins and ends a tile is lost. Sums are taken
 * in the order of the summed axis, as in scalar-tile.ts: the results are the same bits.
 */

import type { Assembler } from "../assembler.ts";
import { type F, type X, ZERO } from "../register.ts";
import { repeated, STREAMS, startStream, streaming } from "../streams.ts";
import { gridOf, type Spot } from "./grid.ts";
import type { Places, Product } from "./product.ts";
import type { Steps } from "./steps.ts";
import type { TileSize } from "./tiling.ts";

const [ROWS, COLUMNS, OUT] = [0, 1, 2];
const [ROW, COLUMN, RESULT] = STREAMS;

/** `count` tiles side by side, which is not 0. The depth of the product is not 0. */
export function streamTiles(
  k: Assembler,
  steps: Steps,
  p: Product,
  { rows, columns: width }: TileSize,
  count: X,
  at: Places,
): void {
  const { rows: a, columns: b } = p;
  const depth = at.depth ?? p.depth;
  startStream(k, ROWS, {
    base: at.rows,
    axes: [
      { count: depth, step: a.along },
      { count, step: 0 },
      { count: rows, step: a.step },
    ],
    writes: false,
    times: width,
  });
  startStream(k, COLUMNS, {
    base: at.columns,
    axes: [
      { count: width, step: b.step },
      { count: depth, step: b.along },
      { count, step: width * b.step },
      { count: rows, step: 0 },
    ],
    writes: false,
    times: 1,
  });
  startStream(k, OUT, {
    base: at.out,
    axes: [
      { count: width, step: b.out },
      { count, step: width * b.out },
      { count: rows, step: a.out },
    ],
    writes: true,
    times: 1,
  });
  const tile = tileOf(k, steps, p, width, depth);
  if (p.beta === null) {
    streaming(k, () => k.repeat(k.mul(count, rows), () => tile(at.addend)));
    return;
  }
  const row = k.copy(at.addend);
  streaming(k, () =>
    k.repeat(rows, () => {
      const addend = k.copy(row);
      k.repeat(count, () => {
        tile(addend);
        steps.advance(addend, width * b.addend);
      });
      steps.advance(row, a.addend);
    }),
  );
}

/** Whether sums may begin with the addend: it counts as much as the products. */
const beginsWithAddend = ({ alpha, beta }: Product): boolean => alpha === 1 && beta === 1;

/** What computes one row of a tile, given where its addend is. */
function tileOf(
  k: Assembler,
  steps: Steps,
  p: Product,
  width: number,
  depth: number | X,
): (addend: X) => void {
  const begins = beginsWithAddend(p);
  const isPlain = begins || (p.alpha === 1 && p.beta === null);
  // The last multiply-add may give the result; where only the run knows the depth, there may be none but the first.
  const givesLast = isPlain && typeof depth === "number";
  const inside = insideOf(k, depth, givesLast ? 2 : 1);
  const zero = begins ? null : k.f("fmv.w.x", ZERO);
  const scale = { alpha: factor(k, p.alpha), beta: factor(k, p.beta ?? 1) };
  const beginning = (addend: X): readonly F[] =>
    zero ? Array.from({ length: width }, () => zero) : addends(k, steps, p, width, addend);
  const give = (sum: F): F => k.to(RESULT, "fmadd.s", ROW, COLUMN, sum);
  return (addend) => {
    const first = beginning(addend);
    if (givesLast && depth === 1) {
      first.forEach(give);
      return;
    }
    const sums = first.map((sum) => k.f("fmadd.s", ROW, COLUMN, sum));
    inside(sums);
    if (givesLast) sums.forEach(give);
    else if (isPlain) for (const sum of sums) k.to(RESULT, "fsgnj.s", sum, sum);
    else finished(k, steps, p, scale, sums, addend);
  };
}

const factor = (k: Assembler, n: number): F | null => (n === 1 ? null : k.constant(n));

/** What adds the elements along the summed axis that are repeated: all but some at its ends. */
function insideOf(k: Assembler, depth: number | X, ends: number): (sums: readonly F[]) => void {
  const add = (sum: F): F => k.to(sum, "fmadd.s", ROW, COLUMN, sum);
  const from = (times: X, sums: readonly F[]): void =>
    repeated(
      k,
      times,
      sums.map((sum) => () => add(sum)),
    );
  if (typeof depth === "number") {
    if (depth <= ends) return () => {};
    const times = k.li(depth - ends - 1);
    return (sums) => from(times, sums);
  }
  const times = k.add(depth, -ends - 1);
  return (sums) => k.when("ge", times, ZERO, () => from(times, sums));
}

/** The addend of each column: a register may stand for several. */
function addends(k: Assembler, steps: Steps, p: Product, width: number, at: X): readonly F[] {
  const columnStep = p.columns.addend;
  if (columnStep === 0) {
    const value = k.f("flw", 0, at);
    return Array.from({ length: width }, () => value);
  }
  const [row = []] = gridOf(k, steps, at, { rows: 1, columns: width, rowStep: 0, columnStep });
  return row.map((spot: Spot) => k.f("flw", ...spot));
}

interface Factors {
  readonly alpha: F | null;
  readonly beta: F | null;
}

/** Scales the sums, adds the addend, and hands them over. */
function finished(
  k: Assembler,
  steps: Steps,
  p: Product,
  { alpha, beta }: Factors,
  sums: readonly F[],
  at: X,
): void {
  if (p.beta === null) {
    for (const sum of sums) {
      if (alpha) k.to(RESULT, "fmul.s", sum, alpha);
    }
    return;
  }
  if (alpha) for (const sum of sums) k.to(sum, "fmul.s", sum, alpha);
  const values = addends(k, steps, p, sums.length, at);
  for (const [j, sum] of sums.entries()) {
    const value = values[j] ?? sum;
    k.to(RESULT, "fadd.s", sum, beta ? k.f("fmul.s", value, beta) : value);
  }
}
