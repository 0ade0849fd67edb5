/**
 * A tile of a product in scalar registers: the sums of some rows and some columns are kept at once, so that every load
 * serves a whole row or column of multiply-adds. A core that issues one instruction a cycle spends r · c of
 * r · c + r + c cycles on multiply-adds; with 32 registers the best is 5 x 5, 25 of 35.
 */

import type { Assembler } from "../assembler.ts";
import { type F, ZERO } from "../register.ts";
import { Cursor } from "./cursor.ts";
import { gridOf, type Spot } from "./grid.ts";
import type { Places, Product } from "./product.ts";
import { type Steps, turns } from "./steps.ts";
import type { TileSize } from "./tiling.ts";

export function scalarTile(
  k: Assembler,
  steps: Steps,
  p: Product,
  { rows, columns, unroll }: TileSize,
  at: Places,
): void {
  const sums = summed(k, steps, p, { rows, columns, unroll }, at);
  const out = gridOf(k, steps, at.out, {
    rows,
    columns,
    rowStep: p.rows.out,
    columnStep: p.columns.out,
  });
  finished(k, steps, p, at, sums);
  for (const [i, row] of sums.entries()) {
    for (const [j, sum] of row.entries()) {
      const [offset, pointer] = (out[i] as Spot[])[j] as Spot;
      k.emit("fsw", sum, offset, pointer);
    }
  }
}

/** sums[i][j] = Σ rows[i, k] · columns[k, j], with the addend where it counts once. */
function summed(
  k: Assembler,
  steps: Steps,
  p: Product,
  { rows, columns, unroll }: TileSize,
  at: Places,
): F[][] {
  const { rows: a, columns: b, depth } = p;
  const sums = beginning(k, steps, p, rows, columns, at);
  const left = new Cursor(k, steps, at.rows, { count: rows, ...a, unroll });
  const right = new Cursor(k, steps, at.columns, { count: columns, ...b, unroll });
  const step = (add: (sum: F, x: F, y: F) => F): void => {
    let y = right.load(0);
    const xs = Array.from({ length: rows }, (_, i) => left.load(i));
    for (let j = 0; j < columns; j++) {
      // The next column is loaded early: no multiply-add waits for its load.
      const next = j + 1 < columns ? right.load(j + 1) : y;
      for (const [i, x] of xs.entries()) {
        const row = sums[i] as F[];
        row[j] = add(row[j] as F, x, y);
      }
      y = next;
    }
    left.next();
    right.next();
  };
  const more = (): void => step((sum, x, y) => k.to(sum, "fmadd.s", x, y, sum));
  if (depth > 0) step((sum, x, y) => k.f("fmadd.s", x, y, sum));
  const rest = at.depth ? k.add(at.depth, -1) : Math.max(0, depth - 1);
  turns(k, rest, unroll, (elements, again) => {
    const body = (): void => {
      for (let u = 0; u < elements; u++) more();
    };
    if (again) left.turn(() => right.turn(body));
    else body();
  });
  return sums;
}

/** Whether sums may begin with the addend: it counts as much as the products. */
const beginsWithAddend = ({ alpha, beta, depth }: Product): boolean =>
  alpha === 1 && beta === 1 && depth > 0;

/** What the first products are added to: registers may stand for several sums. */
function beginning(
  k: Assembler,
  steps: Steps,
  p: Product,
  rows: number,
  columns: number,
  at: Places,
): F[][] {
  const fill = (f: (i: number, j: number) => F): F[][] =>
    Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => f(i, j)));
  if (p.depth === 0) return fill(() => k.f("fmv.w.x", ZERO));
  if (beginsWithAddend(p)) return fill(addends(k, steps, p, rows, columns, at));
  const zero = k.f("fmv.w.x", ZERO);
  return fill(() => zero);
}

/** Loads an addend where it has not been loaded yet. */
function addends(
  k: Assembler,
  steps: Steps,
  { rows: a, columns: b }: Product,
  rows: number,
  columns: number,
  at: Places,
): (i: number, j: number) => F {
  const spread = { rows, columns, rowStep: a.addend, columnStep: b.addend };
  const spots = gridOf(k, steps, at.addend, spread);
  const loaded = new Map<string, F>();
  return (i, j) => {
    const place = `${a.addend && i},${b.addend && j}`;
    const value = loaded.get(place) ?? k.f("flw", ...((spots[i] as Spot[])[j] as Spot));
    loaded.set(place, value);
    return value;
  };
}

/** Scales the sums and adds the addend, in place. */
function finished(k: Assembler, steps: Steps, p: Product, at: Places, sums: readonly F[][]): void {
  const { alpha, beta } = p;
  if (alpha !== 1) {
    const by = k.constant(alpha);
    for (const sum of sums.flat()) k.to(sum, "fmul.s", sum, by);
  }
  if (beta === null || beginsWithAddend(p)) return;
  const columns = sums[0]?.length ?? 0;
  const addend = addends(k, steps, p, sums.length, columns, at);
  const factor = beta === 1 ? null : k.constant(beta);
  for (let j = 0; j < columns; j++) {
    const values = sums.map((_, i) => addend(i, j));
    for (const [i, row] of sums.entries()) {
      const [sum, value] = [row[j] as F, values[i] as F];
      k.to(sum, "fadd.s", sum, factor ? k.f("fmul.s", value, factor) : value);
    }
  }
}
