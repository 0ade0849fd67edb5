/** The operations of one linear layer, whatever its weights are stored as. */

import type { Attrs, Op, Value } from "../../src/ir/op.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import { type Dim, sizeOf } from "../../src/tensor/tensor.ts";
import type { Builder } from "../expand/builder.ts";
import type { Graph } from "./graph.ts";
import { constantName } from "./module-paths.ts";
import { inPlaceOf } from "./patterns.ts";
import type { Matrix } from "./weights.ts";

/** What a product reads: real numbers, or the whole numbers that they are multiples of. */
export interface Input {
  readonly x: Value;
  /** The real input is x times this, when x holds whole numbers. */
  readonly scale?: Value;
  /** Attributes of nn.linear that say what is known of x. */
  readonly known?: Attrs;
}

export interface Product {
  readonly input: Input;
  readonly matrix: Matrix;
  /** A row, or any other value that broadcasts to the result. */
  readonly bias?: Value | undefined;
  readonly role?: "patch";
}

/** The linear alone, in place of `root`, with the path of its module. */
export function linear(graph: Graph, root: Op, product: Product): Op {
  const { input, matrix, bias, role = "other" } = product;
  const { weight, transposed, scale, blocks } = matrix;
  const biasOp = graph.producer(bias, "onnx.Constant");
  const ofBias = biasOp && graph.paths.ofParameter(constantName(biasOp));
  const name = ofBias && !graph.paths.ofParameter(weight.weight) ? constantName(biasOp) : undefined;
  const operands = bias ? [input.x, bias] : [input.x];
  const attrs: Attrs = {
    weight,
    transposed,
    role,
    ...(scale ? {} : (blocks as Attrs | undefined)),
    ...input.known,
  };
  return inPlaceOf(graph, root, "nn.linear", operands, attrs, name ?? weight.weight);
}

/** A constant row as wide as the result. */
const isRow = (graph: Graph, v: Value, outputs: Dim | undefined): boolean =>
  graph.isConstant(v) && v.type.shape.length === 1 && v.type.shape[0] === outputs;

/**
 * x W + bias as a builder writes it. With integer weights the product is of integers if x can be, so that
 * no rounding comes before the scales: (x - zx) (w - zw) sx sw = ((x - zx) w - sum(x - zx) zw) sx sw.
 */
export function written(graph: Graph, b: Builder, root: Op, product: Product): Value {
  const { input, matrix, bias } = product;
  if (!matrix.scale) {
    const row = bias && isRow(graph, bias, outputsOf(matrix)) ? bias : undefined;
    const y = placed(graph, b, root, { ...product, bias: row });
    return bias && !row ? b.op("Add", [y, bias]) : y;
  }
  let y = placed(graph, b, root, { ...product, bias: undefined });
  if (matrix.zero) y = b.op("Sub", [y, sumsTimes(b, input.x, matrix.zero)]);
  const own = number(b, matrix.scale);
  const both = input.scale ? b.op("Mul", [input.scale, own]) : own;
  const isOne = b.valueOf(both)?.data.every((n) => n === 1) === true;
  const scaled = isOne ? y : b.op("Mul", [y, both]);
  return bias ? b.op("Add", [scaled, bias]) : scaled;
}

/** The linear as one more operation of the builder. */
function placed(graph: Graph, b: Builder, root: Op, product: Product): Value {
  const { elem, shape } = product.input.x.type;
  const id = `${root.results[0]?.id ?? "value"}_product`;
  const value = graph.fresh(id, {
    elem,
    shape: [...shape.slice(0, -1), outputsOf(product.matrix)],
  });
  const op = linear(graph, { ...root, results: [value] }, product);
  b.ops.push({ ...op, origin: root.origin });
  return value;
}

const sizeOfAll = (v: Value): number => sizeOf(v.type.shape.map((d) => d ?? 0));

function outputsOf({ weight: { type }, transposed }: Matrix): number {
  return (transposed ? type.shape[0] : type.shape.at(-1)) ?? 0;
}

/** The sum of each row of x, times the zero points. */
function sumsTimes(b: Builder, x: Value, zero: Value): Value {
  const sums = b.op("ReduceSum", [x, b.ints([-1])], { keepdims: 1 });
  const real = b.op("CastLike", [number(b, zero), x]);
  return b.op("Mul", [sums, real]);
}

/** A list of one as a number, so that it adds no axis to what it multiplies. */
const number = (b: Builder, v: Value): Value =>
  v.type.shape.length === 1 && sizeOfAll(v) === 1 ? b.op("Reshape", [v, b.ints([])]) : v;

/** What a product with this matrix reads in place of x: with integer weights, whole numbers if there are. */
export function inputOf(graph: Graph, b: Builder, x: Value, matrix: Matrix): Input {
  const op = graph.producer(x, "onnx.DequantizeLinear");
  const [integers, scale, zero] = op?.operands ?? [];
  if (!matrix.scale || !integers || !scale || sizeOfAll(scale) !== 1) {
    return { x, known: rangeOf(graph, x) };
  }
  const known = knownOf(graph, integers, scale, zero);
  if (graph.scalar(scale) === 1) return { x, known };
  const operands = [integers, b.number(scale.type.elem, 1), ...(zero ? [number(b, zero)] : [])];
  return { x: b.op("DequantizeLinear", operands), scale: number(b, scale), known };
}

/** Movement that leaves the numbers as they are. */
const MOVES = new Set(
  ["Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split"].map(
    (name) => `onnx.${name}`,
  ),
);

/** What is known of real numbers from the quantiser that they went through. */
export function rangeOf(graph: Graph, x: Value): Attrs {
  let op = graph.producer(x);
  while (op && MOVES.has(op.kind)) op = graph.producer(op.operands[0]);
  const [integers, scale, zero] = op?.operands ?? [];
  if (op?.kind !== "onnx.DequantizeLinear" || !integers || !scale) return {};
  const { input_bound: bound, input_scale: worth } = knownOf(graph, integers, scale, zero);
  if (typeof bound !== "number" || typeof worth !== "number") return {};
  return { input_bound: bound * worth, input_scale: 1 };
}

const LIMITS: Readonly<Record<string, readonly [number, number]>> = {
  ui8: [0, 255],
  i8: [-128, 127],
  ui16: [0, 65535],
  i16: [-32768, 32767],
};

/** How large integers minus their zero point get, which may be any of them, and what they are worth. */
function knownOf(
  graph: Graph,
  integers: Value,
  scale: Value,
  zero: Value | null | undefined,
): Attrs {
  const [low, high] = LIMITS[integers.type.elem] ?? [];
  if (low === undefined || high === undefined) return {};
  const at = zero ? toNumbers(graph.values(zero) ?? NONE)[0] : 0;
  if (at === undefined) return { input_bound: high - low };
  const worth = graph.scalar(scale);
  // Integers that are worth nothing, or less, have no range that a converter could have.
  if (worth !== undefined && !(worth > 0)) return {};
  return {
    input_bound: Math.max(at - low, high - at),
    ...(worth !== undefined && { input_scale: worth }),
  };
}

const NONE = { elem: "f32", shape: [0], data: new Float32Array(0) } as const;

/** The builder's operations, the one that gives `value` giving the results of `root` instead. */
export function delivered(b: Builder, value: Value, root: Op): readonly Op[] {
  const [result] = root.results;
  if (!result) return [];
  const now = (v: Value | null) => (v === value ? result : v);
  return b.ops.map((op) => ({
    ...op,
    operands: op.operands.map(now),
    results: op.results.map((v) => (v === value ? result : v)),
  }));
}
