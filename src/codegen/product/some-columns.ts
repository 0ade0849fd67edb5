/** Products of which some first columns are wanted, as many as only the run knows: whole tiles, then single columns. */

import type { Assembler } from "../assembler.ts";
import type { Isa } from "../isa.ts";
import { type X, ZERO } from "../register.ts";
import type { Places, Product } from "./product.ts";
import { multiply, type Stack, stackOf } from "./tiles.ts";
import { type Blocks, countOf } from "./tiling.ts";

export interface SomeColumns {
  readonly product: Product;
  /** Columns of a tile of `tiles`. */
  readonly width: number;
  readonly tiles: Stack;
  /** Tiles of one column; null where the others have no more. */
  readonly singles: Stack | null;
}

/** A product with at most as many columns as it says. */
export function someColumnsOf(product: Product, isa: Isa): SomeColumns {
  const cut = stackOf(product, isa, 1, 1);
  const side = cut.tiling.swapped ? "rows" : "columns";
  const { width } = cut[side];
  const even = (blocks: Blocks): Stack => {
    const sides = { rows: cut.rows, columns: cut.columns, [side]: blocks };
    const size = { ...cut.tiling.size, [side]: blocks.width };
    const tiles = countOf(sides.rows) * countOf(sides.columns);
    return { ...cut, ...sides, tiling: { ...cut.tiling, size }, tiles };
  };
  const count = Math.ceil(product.columns.size / width);
  return {
    product,
    width,
    tiles: even({ width, big: count, small: 0 }),
    singles: width === 1 ? null : even({ width: 1, big: width - 1, small: 0 }),
  };
}

/** From so many columns of a tile on, those that are left over are cheaper as a tile that overlaps the one before. */
const WIDE = 6;

/** The first `count` columns. */
export function multiplySome(k: Assembler, some: SomeColumns, at: Places, count: X): void {
  const { tiles, singles, width } = some;
  const { step, out } = some.product.columns;
  const whole = k.div(count, width);
  first(k, tiles, at, whole);
  if (!singles) return;
  const done = k.mul(whole, width);
  const from = (column: X): Places => ({
    ...at,
    columns: k.add(at.columns, k.mul(column, step)),
    out: k.add(at.out, k.mul(column, out)),
  });
  const one = (): void => first(k, singles, from(done), k.sub(count, done));
  if (width < WIDE) one();
  else {
    const again = (): void => first(k, tiles, from(k.add(count, -width)), k.li(1));
    k.when("eq", whole, ZERO, one, () => k.when("ne", count, done, again));
  }
}

/** The first tiles along the columns, of all rows. */
function first(k: Assembler, stack: Stack, at: Places, tiles: X): void {
  const across = countOf(stack.columns);
  const part = (from: X, end: X): void => multiply(k, stack, () => at, { from, end });
  if (stack.tiling.swapped) part(k.li(0), k.mul(tiles, across));
  else if (countOf(stack.rows) === 1) part(k.li(0), tiles);
  else {
    k.range(0, stack.tiles, across, (from) => part(from, k.add(from, tiles)));
  }
}
