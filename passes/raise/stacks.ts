/** Products with a stack of constant matrices, one for each head or group: as many linears side by side. */

import type { Op, Value, WeightRef } from "../../src/ir/op.ts";
import { isWeightRef } from "../../src/ir/op.ts";
import { isFloat, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import type { Builder } from "../expand/builder.ts";
import { concat, split } from "../expand/write.ts";
import type { Graph } from "./graph.ts";
import { constantName } from "./module-paths.ts";
import { linear, rangeOf } from "./product.ts";

/** Matrices [count, in, out], or [count, out, in] when transposed, in the store. */
export interface Stack {
  readonly weight: WeightRef;
  readonly count: number;
  readonly transposed: boolean;
}

/**
 * More matrices than networks have heads belong to positions: each would be programmed for the one or two rows
 * that it multiplies.
 */
export const MOST_MATRICES = 64;

/** A constant of the file as a stack of this shape, its elements in their order. */
export function stackIn(
  graph: Graph,
  v: Value,
  shape: readonly [number, number, number],
  transposed: boolean,
): Stack | undefined {
  const constant = graph.producer(v, "onnx.Constant");
  const values = constant && graph.constant(v);
  if (!constant || !values || !isFloat(v.type.elem)) return undefined;
  const [count] = shape;
  if (isWeightRef(values) && values.type.shape.join() === shape.join()) {
    return { weight: values, count, transposed };
  }
  const tensor = graph.values(v);
  if (!tensor || sizeOf(shape) !== tensor.data.length) return undefined;
  const stack: Tensor = { ...tensor, shape };
  const weight = graph.weights.add(constantName(constant) ?? v.id, stack);
  return { weight, count, transposed };
}

/** Parts of x along an axis, each times its matrix, one behind the other along that axis. */
export function sideBySide(
  graph: Graph,
  b: Builder,
  root: Op,
  { x, axis, stack, rows }: Parts,
): Value {
  const known = rangeOf(graph, x);
  const own = x.type.shape[axis] ?? 1;
  const isShared = own === 1 && stack.count > 1;
  const parts = isShared
    ? Array.from({ length: stack.count }, () => x)
    : split(b, x, axis, new Array(stack.count).fill(Number(own) / stack.count));
  const products = parts.map((part, slice) => {
    const laidOut = rows ? rows(part) : part;
    const { weight, transposed } = stack;
    const width = (transposed ? weight.type.shape[1] : weight.type.shape[2]) ?? 0;
    const shape = [...laidOut.type.shape.slice(0, -1), width];
    const value = graph.fresh(`${root.results[0]?.id ?? "value"}_${slice}`, {
      elem: laidOut.type.elem,
      shape,
    });
    const matrix = { weight, transposed };
    const op = linear(
      graph,
      { ...root, results: [value] },
      { input: { x: laidOut, known }, matrix },
    );
    b.ops.push({ ...op, attrs: { ...op.attrs, slice }, origin: root.origin });
    return value;
  });
  return rows ? concat(b, products, -1) : concat(b, products, axis);
}

interface Parts {
  readonly x: Value;
  readonly axis: number;
  readonly stack: Stack;
  /** How a part becomes the rows that its matrix takes; then results lie side by side along the last axis. */
  rows?(part: Value): Value;
}
