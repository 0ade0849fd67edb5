/**
 * Regions that grow from one token block to the next, as the keys that attention reads do. One kernel serves all blocks
 * where it takes their number from the program: then such a value lies with room for all of them.
 */

import type { Select } from "../../artifact/schedule.ts";
import type { Growing } from "../kernel.ts";
import { GROWING } from "../kernels/index.ts";
import type { Read } from "./parts.ts";
import { tokenBlocks } from "./ranges.ts";
import { shapeAt } from "./store.ts";

export interface Growth {
  readonly axes: readonly Growing[];
  /** Elements of the axes at most. */
  readonly most: number;
  /** A region that grows; its axis says how many elements there are. */
  readonly read: Read;
  readonly axis: number;
}

const varies = (s: Select | undefined): boolean => typeof s === "object";

/** How the operands of a step grow, if its kernel can serve all its iterations; null otherwise. */
export function growthOf(kernel: string, reads: readonly (Read | null)[]): Growth | null {
  const takes = (GROWING.get(kernel) ?? []).flatMap(({ operand, axis }): Growing[] => {
    const read = reads[operand];
    return read ? [{ operand, axis: axis < 0 ? read.select.length + axis : axis }] : [];
  });
  const all = reads.flatMap((read, operand) =>
    (read?.select ?? []).flatMap((s, axis) => (varies(s) ? [{ operand, axis }] : [])),
  );
  const [first] = all;
  const read = first && reads[first.operand];
  if (!first || !read) return null;
  const alongOf = ({ operand, axis }: Growing): string =>
    JSON.stringify([reads[operand]?.select[axis], reads[operand]?.blocks.shape[axis]]);
  const isGrowing = (g: Growing): boolean =>
    all.some(({ operand, axis }) => operand === g.operand && axis === g.axis);
  const others = takes.filter((g) => !isGrowing(g));
  const fits =
    all.every((g) => alongOf(g) === alongOf(first)) &&
    all.length + others.length === takes.length &&
    others.every(({ operand, axis }) => reads[operand]?.blocks.shape[axis] === 1);
  return fits ? { axes: all, most: mostOf(read, first.axis), read, axis: first.axis } : null;
}

function mostOf(read: Read, axis: number): number {
  const sizes = Array.from(
    { length: tokenBlocks(read.domain) },
    (_, t) => shapeAt(read, t)[axis] ?? 0,
  );
  return sizes.reduce((a, b) => Math.max(a, b), 0);
}

/** The region with all that an axis may have, wherever it begins. */
export const grownShape = (read: Read, axis: number, { most }: Growth): readonly number[] =>
  shapeAt(read, 0).with(axis, most);
