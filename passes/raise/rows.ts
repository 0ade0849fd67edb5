/** Constant rows in the shapes that exporters give them: with axes of size one, or written out for all rows. */

import type { Op, Value } from "../../src/ir/op.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Dim, Tensor } from "../../src/tensor/tensor.ts";
import type { Graph } from "./graph.ts";

/** A constant [width], and the operation that makes it if it is new. */
export interface Row {
  readonly row: Value;
  readonly ops: readonly Op[];
}

/** The row that a constant adds to, or multiplies with, every row of y; undefined when rows differ. */
export function rowOf(graph: Graph, v: Value, y: Value | undefined): Row | undefined {
  const width = y?.type.shape.at(-1);
  const op = graph.producer(v, "onnx.Constant");
  const { shape, elem } = v.type;
  if (!y || !op || !width || shape.at(-1) !== width || !fits(shape, y.type.shape)) return undefined;
  if (shape.length === 1) return { row: v, ops: [] };
  const values = repeatedRow(graph.values(v), width);
  if (!values) return undefined;
  const b = graph.builder(op);
  return { row: b.constant(fromNumbers(elem, [width], values)), ops: b.ops };
}

/** It broadcasts to the shape without widening it. */
const fits = (shape: readonly Dim[], to: readonly Dim[]): boolean =>
  shape.length <= to.length &&
  shape.every((d, i) => d === 1 || d === to[i + to.length - shape.length]);

function repeatedRow(constant: Tensor | undefined, width: number): readonly number[] | undefined {
  const values = constant ? toNumbers(constant) : [];
  const isRepeated = values.every((n, i) => n === values[i % width]);
  return values.length > 0 && isRepeated ? values.slice(0, width) : undefined;
}
