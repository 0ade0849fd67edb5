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
import type { Steps } from "./steps.ts";
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

/** sums[i][j] = Σ rows[i, k] · columns[k, j]. */
function summed(
  k: Assembler,
  steps: Steps,
  { rows: a, columns: b, depth }: Product,
  { rows, columns, unroll }: TileSize,
  at: Places,
): readonly F[][] {
  const zero = k.f("fmv.w.x", ZERO);
  const sums = Array.from({ length: rows }, () => Array.from({ length: columns }, () => zero));
  if (depth === 0) return sums.map((row) => row.map(() => k.f("fmv.w.x", ZERO)));
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
  step((sum, x, y) => k.f("fmadd.s", x, y, sum));
  const more = (): void => step((sum, x, y) => k.to(sum, "fmadd.s", x, y, sum));
  const turns = Math.floor((depth - 1) / unroll);
  if (turns > 0) {
    const body = (): void => {
      for (let u = 0; u < unroll; u++) more();
    };
    k.repeat(turns, () => left.turn(() => right.turn(body)));
  }
  for (let u = turns * unroll + 1; u < depth; u++) more();
  return sums;
}

/** Scales the sums and adds the addend, in place. */
function finished(
  k: Assembler,
  steps: Steps,
  { alpha, beta, rows: a, columns: b }: Product,
  at: Places,
  sums: readonly F[][],
): void {
  const all = sums.flat();
  if (alpha !== 1) {
    const by = k.constant(alpha);
    for (const sum of all) k.to(sum, "fmul.s", sum, by);
  }
  if (beta === null) return;
  const [rows, columns] = [sums.length, sums[0]?.length ?? 0];
  const spread = { rows, columns, rowStep: a.addend, columnStep: b.addend };
  const spots = gridOf(k, steps, at.addend, spread);
  const loaded = new Map<string, F>();
  const load = (i: number, j: number): F => {
    const place = `${a.addend && i},${b.addend && j}`;
    const known = loaded.get(place);
    if (known) return known;
    const value = k.f("flw", ...((spots[i] as Spot[])[j] as Spot));
    if (beta !== 1) k.to(value, "fmul.s", value, k.constant(beta));
    loaded.set(place, value);
    return value;
  };
  for (let j = 0; j < columns; j++) {
    const values = sums.map((_, i) => load(i, j));
    for (const [i, row] of sums.entries()) {
      const sum = row[j] as F;
      k.to(sum, "fadd.s", sum, values[i] as F);
    }
  }
}
