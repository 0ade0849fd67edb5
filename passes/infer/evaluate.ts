/** The results of an operation that constants, or shapes alone, decide. */

import { shapeRange } from "../../src/ir/dialects/onnx/creation.ts";
import type { Op, Value } from "../../src/ir/op.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { cast } from "../../src/tensor/kernels/cast.ts";
import { KERNELS } from "../../src/tensor/kernels/index.ts";
import {
  bytesPer,
  isStatic,
  showType,
  sizeOf,
  type Tensor,
  TensorFault,
} from "../../src/tensor/tensor.ts";

/** Stay as they are: constants are done already, and quantised matrices are kept quantised. */
const isKept = ({ kind, results }: Op): boolean =>
  kind === "onnx.Constant" ||
  (kind === "onnx.DequantizeLinear" && !results.every((v) => isRow(v.type.shape)));

/** Numbers and rows, which no tile holds: scales, biases, exponents. */
const isRow = (shape: Value["type"]["shape"]): boolean =>
  shape.length !== 2 && shape.slice(0, -1).every((d) => d === 1);

/** null when the operands are not all constant, or operands or results exceed the limit. */
export function evaluate(
  op: Op,
  constants: ReadonlyMap<Value, () => Tensor>,
  limit: number,
): readonly Tensor[] | null {
  const shape = shapeAnswer(op);
  if (shape) return [shape];
  const like = castLike(op, constants, limit);
  if (like) return [like];
  const kernel = KERNELS.get(op.kind.replace(/^onnx\./, ""));
  if (!kernel || isKept(op)) return null;
  const present = op.operands.flatMap((v) => (v ? [v] : []));
  if (!present.every((v) => constants.has(v) && within(v, limit))) return null;
  if (!op.results.every((v) => !isStatic(v.type) || within(v, limit))) return null;
  checkGrowth(op, present);
  const inputs = op.operands.map((v) => (v && constants.get(v)?.()) || null);
  const shapes = op.results.flatMap((v) => (isStatic(v.type) ? [v.type.shape] : []));
  const outShapes = shapes.length === op.results.length ? shapes : null;
  const values = kernel({ inputs, attrs: op.attrs, outShapes }).slice(0, op.results.length);
  for (const [i, v] of op.results.entries()) agree(op, v, values[i]);
  return values;
}

/** A few bytes of model that ask for a constant without end. */
export class Overgrown extends TensorFault {}

/** Bytes that a result may have, however few its operands have: a mask for 11 000 tokens. */
const GROWN = 2 ** 29;

function checkGrowth(op: Op, present: readonly Value[]): void {
  const bytes = (values: readonly Value[]): number =>
    values.reduce(
      (n, { type }) => n + (isStatic(type) ? sizeOf(type.shape) : 0) * bytesPer(type.elem),
      0,
    );
  const size = bytes(op.results);
  if (size <= Math.max(GROWN, 4 * bytes(present))) return;
  const types = op.results.map((v) => showType(v.type)).join(", ");
  throw new Overgrown(
    `the result ${types} would take ${(size / 2 ** 30).toFixed(1)} GiB, computed from almost nothing`,
  );
}

const within = (v: Value, limit: number): boolean =>
  isStatic(v.type) && sizeOf(v.type.shape) <= limit;

/** Kernels and records state the same meaning twice; where they differ, one of them is wrong. */
function agree(op: Op, v: Value, value: Tensor | undefined): void {
  const fits =
    value !== undefined &&
    value.elem === v.type.elem &&
    value.shape.length === v.type.shape.length &&
    v.type.shape.every((d, i) => d === null || d === value.shape[i]);
  if (fits) return;
  const found = value ? showType(value) : "nothing";
  throw new Error(`${op.kind}: the kernel gives ${found}, inference ${showType(v.type)}`);
}

/** What CastLike reads of its second operand is the element type, which is always known. */
function castLike(
  { kind, operands: [x, like] }: Op,
  constants: ReadonlyMap<Value, () => Tensor>,
  limit: number,
): Tensor | null {
  if (kind !== "onnx.CastLike" || !x || !like || !within(x, limit)) return null;
  const value = constants.get(x)?.();
  return value ? cast(value, like.type.elem) : null;
}

/** Shape and Size need no values, only dimensions. */
function shapeAnswer(op: Op): Tensor | null {
  const type = op.operands[0]?.type;
  if (!type) return null;
  if (op.kind === "onnx.Size" && isStatic(type)) {
    return fromNumbers("i64", [], [sizeOf(type.shape)]);
  }
  if (op.kind !== "onnx.Shape") return null;
  const [start, end] = shapeRange(op, type.shape.length);
  const dims = type.shape.slice(start, end);
  const numbers = dims.filter((d) => d !== null);
  return numbers.length === dims.length ? fromNumbers("i64", [dims.length], numbers) : null;
}
