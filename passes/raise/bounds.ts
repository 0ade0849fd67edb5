/** How low a computed value can get, whatever the inputs are: enough to see that a mask hides nothing. */

import type { Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import type { Graph } from "./graph.ts";

type Range = readonly [low: number, high: number];

const ANY: Range = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

/** The lowest number in v times a factor; -∞ when it is not known. */
export function lowestOf(graph: Graph, v: Value, factor: number): number {
  const [low, high] = rangeOf(graph, v, 12);
  return factor < 0 ? factor * high : factor * low;
}

const spread = (values: readonly number[]): Range =>
  values.some(Number.isNaN) ? ANY : [Math.min(...values), Math.max(...values)];

/** Of a long list, without spreading it into arguments. */
const extremes = (values: readonly number[]): Range =>
  values.reduce<Range>(
    ([low, high], v) =>
      v >= low && v <= high ? [low, high] : [Math.min(low, v), Math.max(high, v)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );

/** Operations whose results hold nothing but elements of their first operand. */
const MOVES = new Set(
  ["Reshape", "Transpose", "Expand", "Squeeze", "Unsqueeze", "Slice", "Gather", "GatherElements"]
    .concat(["GatherND", "Identity", "Tile", "Flatten", "Split"])
    .map((name) => `onnx.${name}`),
);

const FUNCTIONS: Readonly<Record<string, Range>> = {
  relu: [0, Number.POSITIVE_INFINITY],
  tanh: [-1, 1],
  sigmoid: [0, 1],
};

function rangeOf(graph: Graph, v: Value, depth: number): Range {
  if (v.type.elem === "i1") return [0, 1];
  const constant = graph.values(v);
  if (constant) {
    const values = toNumbers(constant);
    return values.some(Number.isNaN) ? ANY : extremes(values);
  }
  const op = graph.producer(v);
  if (!op || depth === 0) return ANY;
  const of = (i: number): Range => {
    const operand = op.operands[i];
    return operand ? rangeOf(graph, operand, depth - 1) : ANY;
  };
  if (MOVES.has(op.kind) || op.kind === "nn.embedding") return of(0);
  return computed(op, of);
}

function computed(op: Op, of: (i: number) => Range): Range {
  switch (op.kind) {
    case "onnx.Cast":
      return of(0);
    case "onnx.Add":
    case "nn.residual":
      return spread([of(0)[0] + of(1)[0], of(0)[1] + of(1)[1]]);
    case "onnx.Sub":
      return spread([of(0)[0] - of(1)[1], of(0)[1] - of(1)[0]]);
    case "onnx.Neg":
      return [-of(0)[1], -of(0)[0]];
    case "onnx.Mul":
      return spread(of(0).flatMap((a) => of(1).map((b) => a * b)));
    case "onnx.Where":
      return spread([...of(1), ...of(2)]);
    case "nn.activation":
      return FUNCTIONS[String(op.attrs["function"])] ?? ANY;
    case "onnx.Softmax":
      return [0, 1];
    default:
      return ANY;
  }
}
