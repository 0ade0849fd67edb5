/** What an expansion is. */

import type { Op, Value } from "../../src/ir/op.ts";
import type { Builder } from "./builder.ts";

/** The first operand is always there; the others may be absent. */
export type Operands = readonly [Value, ...(Value | null | undefined)[]];

/**
 * Writes what an operation means and gives the values that stand for its results, in order; null or
 * none for results that the operation does not have. Null for an operation that stays whole until a raising
 * pass takes it up. Calls `cannot` for what has no exact form.
 */
export type Expansion = (
  b: Builder,
  op: Op,
  operands: Operands,
) => readonly (Value | null | undefined)[] | null;

/** Whether the operation has this result: optional ones at the end may be left out. */
export const gives = (op: Op, index: number): boolean => op.results[index] !== undefined;
