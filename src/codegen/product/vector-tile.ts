/**
 * Tiles of a product in vector registers. "columns": each group holds neighbouring columns of one row, and an element of
 * that row multiplies a whole group at once. "along": both operands are read along the summed axis, each group collects
 * parts of one sum.
 */

import type { Assembler } from "../assembler.ts";
import { type F, type V, type X, ZERO } from "../register.ts";
import { setLength } from "../vector-length.ts";
import { Cursor } from "./cursor.ts";
import { gridOf, type Spot } from "./grid.ts";
import { type Places, type Product, WORD } from "./product.ts";
import { type Steps, turns } from "./steps.ts";
import type { TileSize } from "./tiling.ts";

/**
 * The vector length has to be `columns`. While a row's elements multiply one group of columns, the next one and the next
 * elements of the rows are loaded: a vector unit beside its core never waits for them.
 */
export function columnsTile(
  k: Assembler,
  steps: Steps,
  p: Product,
  { rows, unroll }: TileSize,
  group: number,
  at: Places,
): void {
  if (p.depth === 0) {
    const none = Array.from({ length: rows }, () => k.v(group, "vmv.v.i", 0));
    storeSums(k, steps, p, group, at, none);
    return;
  }
  const right = k.copy(at.columns);
  const ys = [k.newV(group), k.newV(group)] as const;
  const fetch = (to: V): void => {
    load(k, steps, to, right, p.columns.step);
    steps.advance(right, p.columns.along);
  };
  fetch(ys[0]);
  const sums = beginsWithAddend(p)
    ? [...addends(k, steps, p, group, rows, at)]
    : Array.from({ length: rows }, () => k.v(group, "vmv.v.i", 0));
  const left = new Cursor(k, steps, at.rows, { count: rows, ...p.rows, unroll });
  const xs = sums.map((_, i) => left.load(i));
  left.next();
  const multiply = (y: V, again: boolean): void => {
    for (const [i, sum] of sums.entries()) {
      const x = xs[i] as F;
      k.emit("vfmacc.vf", sum, x, y);
      if (again) left.load(i, x);
    }
    if (again) left.next();
  };
  const turn = (elements: number): void => {
    for (let u = 0; u < elements; u++) {
      fetch(u % 2 === 0 ? ys[1] : ys[0]);
      multiply(u % 2 === 0 ? ys[0] : ys[1], true);
    }
  };
  const single = (): void => {
    multiply(ys[0], true);
    fetch(ys[0]);
  };
  // The last element loads nothing more. Turns take an even number: each begins with the same group.
  turns(k, at.depth ? k.add(at.depth, -1) : p.depth - 1, unroll, (elements, again) => {
    if (!again) turn(elements);
    else left.turn(() => (elements === 1 ? single() : turn(elements)));
  });
  multiply(at.depth || p.depth % 2 === 1 ? ys[0] : ys[1], false);
  storeSums(k, steps, p, group, at, sums);
}

function storeSums(
  k: Assembler,
  steps: Steps,
  p: Product,
  group: number,
  at: Places,
  sums: readonly V[],
): void {
  finished(k, steps, p, group, at, sums);
  const out = k.copy(at.out);
  for (const [i, sum] of sums.entries()) {
    if (i > 0) steps.advance(out, p.rows.out);
    if (p.columns.out === WORD) k.emit("vse32.v", sum, out);
    else k.emit("vsse32.v", sum, out, steps.held(p.columns.out));
  }
}

function load(k: Assembler, steps: Steps, to: V, from: X, step: number): V {
  if (step === WORD) return k.to(to, "vle32.v", from);
  return k.to(to, "vlse32.v", from, steps.held(step));
}

/** Whether sums may begin with the addend: it counts as much as the products. */
const beginsWithAddend = ({ alpha, beta, depth }: Product): boolean =>
  alpha === 1 && beta === 1 && depth > 0;

/** The addend of each row in a register of its own, as much as it counts, loaded when it is asked for. */
function* addends(
  k: Assembler,
  steps: Steps,
  { rows, columns, beta }: Product,
  group: number,
  count: number,
  at: Places,
): Iterable<V> {
  const from = k.copy(at.addend);
  for (let i = 0; i < count; i++) {
    if (i > 0) steps.advance(from, rows.addend);
    const value =
      columns.addend === 0
        ? k.v(group, "vfmv.v.f", k.f("flw", 0, from))
        : load(k, steps, k.newV(group), from, columns.addend);
    if (beta !== null && beta !== 1) k.to(value, "vfmul.vf", value, k.constant(beta));
    yield value;
  }
}

/** Scales the sums and adds the addend, in place. */
function finished(
  k: Assembler,
  steps: Steps,
  p: Product,
  group: number,
  at: Places,
  sums: readonly V[],
): void {
  const { alpha, beta } = p;
  if (alpha !== 1) {
    const by = k.constant(alpha);
    for (const sum of sums) k.to(sum, "vfmul.vf", sum, by);
  }
  if (beta === null || beginsWithAddend(p)) return;
  let i = 0;
  for (const value of addends(k, steps, p, group, sums.length, at)) {
    const sum = sums[i++] as V;
    k.to(sum, "vfadd.vv", sum, value);
  }
}

/** Any vector length before; another one behind. */
export function alongTile(
  k: Assembler,
  steps: Steps,
  p: Product,
  { rows, columns }: TileSize,
  group: number,
  at: Places,
  lanes: number,
): void {
  const chunk = group * lanes;
  setLength(k, chunk, group);
  const sums = Array.from({ length: rows }, () =>
    Array.from({ length: columns }, () => k.v(group, "vmv.v.i", 0)),
  );
  const left = pointers(k, steps, at.rows, rows, p.rows.step);
  const right = pointers(k, steps, at.columns, columns, p.columns.step);
  const take = (from: X): V => {
    const value = k.v(group, "vle32.v", from);
    steps.advance(from, chunk * WORD);
    return value;
  };
  const step = (): void => {
    const xs = left.map(take);
    for (const [j, from] of right.entries()) {
      const y = take(from);
      for (const [i, x] of xs.entries()) k.emit("vfmacc.vv", sums[i]?.[j] as V, x, y);
    }
  };
  k.repeat(Math.floor(p.depth / chunk), step);
  if (p.depth % chunk > 0) {
    // What is behind the last elements keeps its sums.
    setLength(k, p.depth % chunk, group, "undisturbed");
    step();
    setLength(k, chunk, group);
  }
  reduced(k, steps, p, at, sums);
}

function pointers(k: Assembler, steps: Steps, base: X, count: number, step: number): readonly X[] {
  const all = [k.copy(base)];
  while (all.length < count) all.push(steps.beyond(all.at(-1) ?? base, step));
  return all;
}

/** Adds the parts of each sum up and stores it. */
function reduced(
  k: Assembler,
  steps: Steps,
  p: Product,
  at: Places,
  sums: readonly (readonly V[])[],
): void {
  const { rows: a, columns: b, alpha } = p;
  const [rows, columns] = [sums.length, sums[0]?.length ?? 0];
  const out = gridOf(k, steps, at.out, { rows, columns, rowStep: a.out, columnStep: b.out });
  const spread = { rows, columns, rowStep: a.addend, columnStep: b.addend };
  const addend = p.beta === null ? null : gridOf(k, steps, at.addend, spread);
  const zero = k.v(1, "vmv.s.x", ZERO);
  // All are under way before the core waits for the first.
  const all = sums.map((row) => row.map((parts) => k.v(1, "vfredusum.vs", parts, zero)));
  for (const [i, row] of all.entries()) {
    for (const [j, result] of row.entries()) {
      const sum = k.f("vfmv.f.s", result);
      if (alpha !== 1) k.to(sum, "fmul.s", sum, k.constant(alpha));
      const spot = addend?.[i]?.[j];
      if (spot) addFrom(k, sum, spot, p.beta ?? 1);
      k.emit("fsw", sum, ...((out[i] as Spot[])[j] as Spot));
    }
  }
}

function addFrom(k: Assembler, sum: F, spot: Spot, beta: number): void {
  const value = k.f("flw", ...spot);
  if (beta !== 1) k.to(value, "fmul.s", value, k.constant(beta));
  k.to(sum, "fadd.s", sum, value);
}
