/** How a value that nobody shows is computed again from values that somebody does. */

import type { Op, Value } from "../../src/ir/op.ts";

export interface Recipe {
  /** In the order of computation. */
  readonly ops: readonly Op[];
  /** The values that are shown. */
  readonly from: readonly Value[];
}

/** Which values and operations may be part of it. */
export interface Redone {
  readonly takesConstant: (v: Value) => boolean;
  readonly takes: (op: Op) => boolean;
  /** Operands that matter. */
  readonly operands: (op: Op) => readonly (Value | null)[];
  /** Most operations. */
  readonly longest: number;
}

/** null where a value is needed that is neither shown nor computed by operations that may be done again. */
export function recipeOf(
  value: Value,
  producers: ReadonlyMap<Value, Op>,
  isShown: (v: Value) => boolean,
  { takesConstant, takes, operands, longest }: Redone,
): Recipe | null {
  const ops: Op[] = [];
  const from = new Set<Value>();
  const collect = (v: Value): boolean => {
    const op = producers.get(v);
    if (op?.kind === "onnx.Constant") return takesConstant(v);
    if (isShown(v)) {
      from.add(v);
      return true;
    }
    if (!op || ops.includes(op)) return op !== undefined;
    if (!takes(op) || ops.length >= longest) return false;
    const known = operands(op).every((o) => o === null || collect(o));
    ops.push(op);
    return known;
  };
  return collect(value) ? { ops, from: [...from] } : null;
}
