/**
 * Layouts: along which axes the elements of a value come into being, token block by token block.
 *
 * A layout gives each axis `batch`, `token`, `row` (the two flattened) or `all`. Which region of an operand an
 * operation then reads for one block of its result follows from its access record alone.
 */

import type { Domain, Select } from "../../src/artifact/schedule.ts";
import type { AxisAccess } from "../../src/ir/access.ts";
import { dependence } from "../../src/poly/dependence.ts";
import { canonical } from "../../src/poly/domain.ts";
import type { Dim } from "../../src/tensor/tensor.ts";

/** What a layout runs over: batches of tokens. { 1, 1 } is everything at once. */
export interface Space {
  readonly batch: number;
  readonly tokens: number;
}

export interface Layout {
  readonly space: Space;
  readonly select: readonly Select[];
}

const ONCE: Space = { batch: 1, tokens: 1 };

/** All of a value at once: always right. */
export const wholeLayout = (rank: number): Layout => ({
  space: ONCE,
  select: new Array<Select>(rank).fill("all"),
});

export const isWholeLayout = ({ space }: Layout): boolean => space.batch * space.tokens === 1;

/** A domain that tells tokens apart; relations between spaces do not depend on the block. */
const finest = ({ batch, tokens }: Space): Domain => ({ batch, tokens, block: 1 });

/** A layout from the axes that carry batch, token or row, in its one canonical spelling. */
export function layoutOf(
  space: Space,
  rank: number,
  axes: Readonly<Record<number, Select>>,
): Layout {
  const select = Array.from({ length: rank }, (_, i) => canonical(axes[i] ?? "all", finest(space)));
  return { space, select };
}

/** Every layout over a space that a value of this shape can have, but for the whole one. */
export function candidates(space: Space, shape: readonly Dim[]): readonly Layout[] {
  const { batch, tokens } = space;
  const axes = [...shape.keys()];
  const of = (chosen: Record<number, Select>): Layout => layoutOf(space, shape.length, chosen);
  const along = (size: number): number[] => axes.filter((i) => shape[i] === size);
  if (batch * tokens === 1) return [];
  if (batch === 1) return along(tokens).map((i) => of({ [i]: "token" }));
  if (tokens === 1) return along(batch).map((i) => of({ [i]: "batch" }));
  const pairs = along(batch).flatMap((i) =>
    along(tokens).flatMap((j) => (i === j ? [] : [of({ [i]: "batch", [j]: "token" })])),
  );
  return [...pairs, ...along(batch * tokens).map((i) => of({ [i]: "row" }))];
}

/** The region of an operand that one block of the result needs; null when selections cannot say it. */
export function readsOf(
  access: readonly AxisAccess[],
  layout: Layout,
  shape: readonly Dim[],
): readonly Select[] | null {
  const select: Select[] = [];
  for (const axis of access) {
    const s = readAxis(axis, layout, shape);
    if (s === null) return null;
    select.push(canonical(s, finest(layout.space)));
  }
  return select;
}

function readAxis(a: AxisAccess, layout: Layout, shape: readonly Dim[]): Select | null {
  switch (a.kind) {
    case "all":
      return "all";
    case "point":
      return layout.select[a.axis] ?? null;
    case "prefix":
      return alongTokens(layout.select[a.axis], { upto: a.offset });
    case "window":
      return alongTokens(layout.select[a.axis], { window: a.width, offset: a.offset });
    case "merge":
      return mergeAxis(a.terms, layout, shape);
    case "digit":
      return digitAxis(a, layout);
  }
}

function alongTokens(s: Select | undefined, reach: Select): Select | null {
  if (s === "all") return "all";
  return s === "token" ? reach : null;
}

/** The operand holds several axes of the result flattened into one. */
function mergeAxis(
  terms: readonly { readonly axis: number; readonly stride: number }[],
  { space, select }: Layout,
  shape: readonly Dim[],
): Select | null {
  const moving = terms.filter(({ axis }) => shape[axis] !== 1);
  const strides = new Map(moving.map(({ axis, stride }) => [select[axis] ?? "all", stride]));
  const kinds = [...strides.keys()];
  if (kinds.every((s) => s === "all")) return "all";
  if (kinds.includes("all") || moving.length !== kinds.length) return null;
  if (moving.length === 1) return strides.values().next().value === 1 ? (kinds[0] ?? null) : null;
  const rows = strides.get("batch") === space.tokens && strides.get("token") === 1;
  return rows && moving.length === 2 ? "row" : null;
}

/** The result holds several axes of the operand flattened into one; this is one of them. */
function digitAxis(
  { axis, stride, extent }: Extract<AxisAccess, { kind: "digit" }>,
  { space, select }: Layout,
): Select | null {
  const s = select[axis];
  if (s === undefined) return null;
  if (s === "all" || extent === 1) return "all";
  if (s === "row") {
    if (stride === space.tokens && extent === space.batch) return "batch";
    return stride === 1 && extent === space.tokens ? "token" : null;
  }
  const size = s === "batch" ? space.batch : space.tokens;
  return stride === 1 && extent === size ? s : null;
}

/**
 * How well a read follows the blocks of what is read: 3 block by block, 1 batch by batch, 0 not at all; null
 * when the two layouts cannot meet.
 */
export function closeness(written: Layout, space: Space, select: readonly Select[]): number | null {
  const between = dependence(
    { domain: finest(written.space), select: written.select },
    { domain: finest(space), select },
  );
  if (between === null) return null;
  if (typeof between.newest.token === "object") return 3;
  return between.newest.batch === "same" && written.space.batch > 1 ? 1 : 0;
}
