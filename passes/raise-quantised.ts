/**
 * raise-quantised: products of integers as products of the real numbers that the integers are.
 *
 * Before: MatMulInteger, ConvInteger, QLinearMatMul and QLinearConv with constant weights.
 * After: MatMul and Conv between DequantizeLinear, with scale one where the operator has none, and
 *   QuantizeLinear or Cast; a Cast of the integers back to real numbers is gone.
 * Why this is exact: raise-linear takes the scales out again. Sums of products of bytes are whole numbers
 *   that float32 holds (up to 2^24, beyond to a part in 2^24), so nothing is rounded before the scales.
 */

import type { Op, Value } from "../src/ir/op.ts";
import type { Builder } from "./expand/builder.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { delivered } from "./raise/product.ts";

/** ONNX's numbers of the types that casts go to. */
const [FLOAT, INT32] = [1, 6];

type Operand = Value | null | undefined;

/** What is unpacked already, by value and zero point: queries, keys and values read one quantised x. */
type Unpacked = Map<string, Value>;

/** (v - zero) · scale, unpacked once for each scale and zero point; lists of those lie along `axis`. */
function unpacked(
  b: Builder,
  [v, scale, zero]: readonly [Value, Operand, Operand],
  axis: number,
  made: Unpacked,
): Value {
  const key = [v, scale, zero, { id: axis }].map((part) => part?.id).join(" ");
  const known = made.get(key);
  if (known) return known;
  const one = b.number("f32", 1);
  const list = zero && !isNumber(zero) ? zero : undefined;
  const wide = scale ?? (list ? b.op("Expand", [one, b.op("Shape", [list])]) : one);
  const operands = [wide, ...(zero ? [zero] : [])].map((o) => (isNumber(o) ? number(b, o) : o));
  const value = b.op("DequantizeLinear", [v, ...operands], { axis });
  made.set(key, value);
  return value;
}

/** A list of one as a number. */
const number = (b: Builder, v: Value): Value =>
  v.type.shape.length === 0 ? v : b.op("Reshape", [v, b.ints([])]);

const lastAxis = (v: Value): number => v.type.shape.length - 1;

function matMulInteger(op: Op, graph: Graph, made: Unpacked): readonly Op[] | null {
  const [a, w, zeroA, zeroW] = op.operands;
  if (!a || !w || !graph.isConstant(w) || !isNumber(zeroA)) return null;
  const b = graph.builder(op);
  const factors = [
    unpacked(b, [a, null, zeroA], 0, made),
    unpacked(b, [w, null, zeroW], lastAxis(w), made),
  ];
  return delivered(b, b.op("Cast", [b.op("MatMul", factors)], { to: INT32 }), op);
}

function convInteger(op: Op, graph: Graph, made: Unpacked): readonly Op[] | null {
  const [x, w, zeroX, zeroW] = op.operands;
  if (!x || !w || !graph.isConstant(w) || !isNumber(zeroX)) return null;
  const b = graph.builder(op);
  const factors = [unpacked(b, [x, null, zeroX], 0, made), unpacked(b, [w, null, zeroW], 0, made)];
  return delivered(b, b.op("Cast", [b.op("Conv", factors, op.attrs)], { to: INT32 }), op);
}

const isNumber = (v: Operand): boolean => !v || v.type.shape.every((d) => d === 1);

function qLinearMatMul(op: Op, graph: Graph, made: Unpacked): readonly Op[] | null {
  const [a, scaleA, zeroA, w, scaleW, zeroW, scaleY, zeroY] = op.operands;
  if (!a || !w || !scaleY || !zeroY || !graph.isConstant(w)) return null;
  if (!isNumber(zeroA) || !isNumber(scaleA)) return null;
  const b = graph.builder(op);
  const factors = [
    unpacked(b, [a, scaleA, zeroA], 0, made),
    unpacked(b, [w, scaleW, zeroW], lastAxis(w), made),
  ];
  return delivered(b, b.op("QuantizeLinear", [b.op("MatMul", factors), scaleY, zeroY]), op);
}

/** The bias is of integers worth scaleX · scaleW. */
function qLinearConv(op: Op, graph: Graph, made: Unpacked): readonly Op[] | null {
  const [x, scaleX, zeroX, w, scaleW, zeroW, scaleY, zeroY, bias] = op.operands;
  if (!x || !scaleX || !w || !scaleW || !scaleY || !zeroY || !graph.isConstant(w)) return null;
  if (!isNumber(zeroX) || !isNumber(scaleX)) return null;
  const b = graph.builder(op);
  const factors = [
    unpacked(b, [x, scaleX, zeroX], 0, made),
    unpacked(b, [w, scaleW, zeroW], 0, made),
  ];
  if (bias) {
    const scale = b.op("Mul", [number(b, scaleX), scaleW]);
    factors.push(b.op("Mul", [b.op("Cast", [bias], { to: FLOAT }), scale]));
  }
  const y = b.op("Conv", factors, op.attrs);
  return delivered(b, b.op("QuantizeLinear", [y, scaleY, zeroY]), op);
}

/** A cast of the whole numbers above back to real ones: the product as it was. */
function backToReal(op: Op, graph: Graph): readonly Op[] | null {
  const inner = graph.producer(op.operands[0], "onnx.Cast");
  const [y] = inner?.operands ?? [];
  const product = graph.producer(y);
  const isOurs = product?.kind === "onnx.MatMul" || product?.kind === "onnx.Conv";
  if (!product || !isOurs || op.attrs["to"] !== FLOAT || inner?.attrs["to"] !== INT32) return null;
  const fromIntegers = product.operands.every((v) => graph.producer(v, "onnx.DequantizeLinear"));
  return fromIntegers
    ? [{ ...product, results: op.results, origin: graph.originOf(op, product.operands) }]
    : null;
}

type QuantisedRule = (op: Op, graph: Graph, made: Unpacked) => readonly Op[] | null;

const RULES: Readonly<Record<string, QuantisedRule>> = {
  "onnx.MatMulInteger": matMulInteger,
  "onnx.ConvInteger": convInteger,
  "onnx.QLinearMatMul": qLinearMatMul,
  "onnx.QLinearConv": qLinearConv,
  "onnx.Cast": backToReal,
};

export const raiseQuantised: Pass = {
  name: "raise-quantised",
  summary: "write products of integers as products of the real numbers that they are",
  needs: ["typed", "folded"],
  gives: [],
  run(module, context) {
    const made: Unpacked = new Map();
    return raiseOps(module, context, (op, graph) => RULES[op.kind]?.(op, graph, made) ?? null);
  },
};
