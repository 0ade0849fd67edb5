/** The loop over the tiles of products: any part of them, so that cores share the work tile by tile. */

import type { Assembler } from "../assembler.ts";
import type { Isa } from "../isa.ts";
import { type X, ZERO } from "../register.ts";
import { setLength } from "../vector-length.ts";
import { type Places, type Product, type Side, swapped, WORD } from "./product.ts";
import { scalarTile } from "./scalar-tile.ts";
import { Steps } from "./steps.ts";
import { streamTiles } from "./stream-tile.ts";
import {
  type Blocks,
  blocksOf,
  countOf,
  LANES,
  type TileSize,
  type Tiling,
  tilingOf,
} from "./tiling.ts";
import { alongTile, columnsTile } from "./vector-tile.ts";

/** Equal products whose operands lie at different places, and how they are cut. */
export interface Stack {
  readonly product: Product;
  readonly tiling: Tiling;
  readonly rows: Blocks;
  readonly columns: Blocks;
  /** Tiles of one product. */
  readonly tiles: number;
  /** Products. */
  readonly count: number;
}

/** `count` products that `cores` share. None of their sizes may be 0, but the depth may. */
export function stackOf(product: Product, isa: Isa, cores: number, count: number): Stack {
  const tiling = tilingOf(product, isa, cores, count);
  const p = tiling.swapped ? swapped(product) : product;
  const rows = blocksOf(p.rows.size, tiling.size.rows);
  const columns = blocksOf(p.columns.size, tiling.size.columns);
  return { product: p, tiling, rows, columns, tiles: countOf(rows) * countOf(columns), count };
}

/** Where product `index` begins. */
export type PlacesOf = (index: X) => Places;

/** Computes tiles from `from` (included) to `end` (excluded) of all tiles of the stack, one product after the other. */
export function multiply(
  k: Assembler,
  stack: Stack,
  placesOf: PlacesOf,
  part: { readonly from: X; readonly end: X },
): void {
  const { columns, rows } = stack;
  const steps = new Steps(k, stepsOf(stack));
  const across = countOf(columns);
  const at = k.copy(part.from);
  const [again, done] = [k.newLabel(), k.newLabel()];
  k.label(again);
  k.far("ge", at, part.end, done);
  const panel = k.div(at, across);
  const column = k.rem(at, across);
  const index = k.div(panel, countOf(rows));
  const row = k.rem(panel, countOf(rows));
  const base = placesOf(index);
  const [a, b] = [stack.product.rows, stack.product.columns];
  const first = moved(k, turnedBack(stack, base), { row, column, rows, columns, a, b });
  const next = k.min(k.add(k.sub(at, column), across), part.end);
  const count = k.sub(next, at);
  k.move(at, next);
  panels(k, steps, stack, { row, column, count, first });
  k.jump(again);
  k.label(done);
}

/** Places as the stack's product has its sides. */
function turnedBack({ tiling }: Stack, at: Places): Places {
  return tiling.swapped ? { ...at, rows: at.columns, columns: at.rows } : at;
}

interface Corner {
  readonly row: X;
  readonly column: X;
  readonly rows: Blocks;
  readonly columns: Blocks;
  readonly a: Side;
  readonly b: Side;
}

/** The places of the tile in a row and column of blocks. New registers: they may be changed. */
function moved(k: Assembler, at: Places, { row, column, rows, columns, a, b }: Corner): Places {
  const i = begin(k, rows, row);
  const j = begin(k, columns, column);
  const far = (base: X, n: X | null, step: number): X =>
    n === null || step === 0 ? base : k.x("add", base, k.mul(n, step));
  return {
    rows: far(k.copy(at.rows), i, a.step),
    columns: far(k.copy(at.columns), j, b.step),
    out: far(far(k.copy(at.out), i, a.out), j, b.out),
    addend: far(far(k.copy(at.addend), i, a.addend), j, b.addend),
    depth: at.depth,
  };
}

/** The first element of a block; null where there is only one. */
function begin(k: Assembler, blocks: Blocks, block: X): X | null {
  if (countOf(blocks) === 1) return null;
  const even = k.mul(block, blocks.width);
  if (blocks.small === 0) return even;
  // Each small block before this one is an element shorter.
  k.when("lt", k.li(blocks.big), block, () => {
    k.to(even, "sub", even, block);
    k.addTo(even, even, blocks.big);
  });
  return even;
}

interface Run {
  readonly row: X;
  readonly column: X;
  /** Tiles side by side. */
  readonly count: X;
  readonly first: Places;
}

/** Tiles of one row of blocks. */
function panels(k: Assembler, steps: Steps, stack: Stack, run: Run): void {
  const { rows } = stack;
  const of = (height: number) => (): void => panel(k, steps, stack, height, run);
  if (rows.small === 0) of(rows.width)();
  else k.when("lt", run.row, k.li(rows.big), of(rows.width), of(rows.width - 1));
}

function panel(k: Assembler, steps: Steps, stack: Stack, height: number, run: Run): void {
  const { columns } = stack;
  const { count, first } = run;
  const strip = (width: number, n: X): void => {
    const { form, group } = stack.tiling;
    if (form === "streams") {
      const size = { ...stack.tiling.size, rows: height, columns: width };
      streamStrip(k, steps, stack, size, n, first);
      return;
    }
    if (form === "columns") setLength(k, width, group);
    k.repeat(n, () => {
      tile(k, steps, stack, { ...stack.tiling.size, rows: height, columns: width }, first);
      const { step, out, addend } = stack.product.columns;
      steps.advance(first.columns, width * step);
      steps.advance(first.out, width * out);
      if (stack.product.beta !== null) steps.advance(first.addend, width * addend);
    });
  };
  if (columns.small === 0) {
    strip(columns.width, count);
    return;
  }
  const wide = k.sub(k.li(columns.big), run.column);
  k.when("lt", wide, ZERO, () => k.move(wide, ZERO));
  k.move(wide, k.min(wide, count));
  k.to(count, "sub", count, wide);
  strip(columns.width, wide);
  strip(columns.width - 1, count);
}

/** The same with streams, which take all tiles at once. */
function streamStrip(
  k: Assembler,
  steps: Steps,
  { product }: Stack,
  size: TileSize,
  n: X,
  at: Places,
): void {
  k.when("ne", n, ZERO, () => {
    streamTiles(k, steps, product, size, n, at);
    const { step, out, addend } = product.columns;
    const move = (p: X, by: number): X => k.to(p, "add", p, k.mul(n, size.columns * by));
    move(at.columns, step);
    move(at.out, out);
    if (product.beta !== null) move(at.addend, addend);
  });
}

function tile(k: Assembler, steps: Steps, stack: Stack, size: TileSize, at: Places): void {
  const { product, tiling } = stack;
  if (tiling.form === "scalar") scalarTile(k, steps, product, size, at);
  else if (tiling.form === "columns") columnsTile(k, steps, product, size, tiling.group, at);
  else alongTile(k, steps, product, size, tiling.group, at, LANES);
}

/** Steps that pointers take again and again. */
function stepsOf({ product: { rows, columns }, tiling: { size, form, group } }: Stack): number[] {
  const often = form === "columns" ? [columns.step, columns.out, columns.addend] : [];
  const all = [rows.along, columns.along, rows.step, columns.step, rows.out, columns.out];
  const strips = [columns.step, columns.out].map((s) => s * size.columns);
  return form === "along"
    ? [...all, group * LANES, ...strips]
    : [...often.filter((s) => s > WORD), ...all, ...strips];
}
