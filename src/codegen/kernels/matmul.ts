/**
 * Matrix products: MatMul, Gemm, FusedMatMul, the linear layer of the nn level and the low-rank branch beside it. Sums
 * are taken in single precision with fused multiply-adds, in the order of the summed axis or in parts of it.
 */

import { sizeOf } from "../../tensor/tensor.ts";
import {
  type Block,
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type PhaseAssembler,
} from "../kernel.ts";
import { contraction } from "../product/phase.ts";
import { broadcastTo, transposedView, type View, viewOf } from "../product/view.ts";
import type { X } from "../register.ts";

const WORD = 4;

/** The operand as words; a KernelGap for other elements. */
function single(block: Block | null | undefined): Block {
  if (!block) throw new KernelGap("an absent operand");
  if (block.elem !== "f32") throw new KernelGap(`elements of type ${block.elem}`);
  return block;
}

const operandAt =
  (i: number) =>
  (k: PhaseAssembler): X =>
    k.operand(i);
const result = (k: PhaseAssembler): X => k.result(0);

const flagOf = ({ attrs }: KernelRequest, name: string): boolean => Boolean(attrs[name]);
function numberOf({ attrs }: KernelRequest, name: string, otherwise: number): number {
  const value = attrs[name] ?? otherwise;
  if (typeof value !== "number") throw new KernelGap(`an attribute ${name} that is no number`);
  return value;
}

/** numpy's matmul: a vector on either side gains an axis for the product and loses it again. */
function sides(a: View, b: View): { a: View; b: View; out: View } {
  const left = a.shape.length === 1 ? withAxis(a, 0) : a;
  const right = b.shape.length === 1 ? withAxis(b, 1) : b;
  const heads = broadcastShape(left.shape.slice(0, -2), right.shape.slice(0, -2));
  return {
    a: left,
    b: right,
    out: viewOf([...heads, left.shape.at(-2) ?? 1, right.shape.at(-1) ?? 1]),
  };
}

const withAxis = ({ shape, strides }: View, at: number): View => ({
  shape: shape.toSpliced(at, 0, 1),
  strides: strides.toSpliced(at, 0, 0),
});

function broadcastShape(a: readonly number[], b: readonly number[]): readonly number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [x, y] = [a[i + a.length - rank] ?? 1, b[i + b.length - rank] ?? 1];
    return x === 1 ? y : x;
  });
}

const matmul: Generate = ({ operands, isa, cores }) => {
  const [a, b] = [single(operands[0]), single(operands[1])];
  const from = { a: operandAt(0), b: operandAt(1), out: result };
  return { phases: [contraction(sides(viewOf(a.shape), viewOf(b.shape)), from, isa, cores)] };
};

const gemm: Generate = (request) => {
  const { operands, isa, cores } = request;
  const view = (i: number, name: string): View => {
    const v = viewOf(single(operands[i]).shape);
    return flagOf(request, name) ? transposedView(v) : v;
  };
  const c = operands[2] ? viewOf(single(operands[2]).shape) : null;
  const of = {
    ...sides(view(0, "transA"), view(1, "transB")),
    c,
    alpha: numberOf(request, "alpha", 1),
    beta: numberOf(request, "beta", 1),
  };
  const from = { a: operandAt(0), b: operandAt(1), c: operandAt(2), out: result };
  return { phases: [contraction(of, from, isa, cores)] };
};

const fusedMatMul: Generate = (request) => {
  const { operands, isa, cores } = request;
  const side = (i: number, letter: string): View => {
    const v = viewOf(single(operands[i]).shape);
    const turned = flagOf(request, `transBatch${letter}`) ? firstBehind(v) : v;
    const isTurned = flagOf(request, `trans${letter}`) && v.shape.length > 1;
    return isTurned ? transposedView(turned) : turned;
  };
  const of = { ...sides(side(0, "A"), side(1, "B")), alpha: numberOf(request, "alpha", 1) };
  const from = { a: operandAt(0), b: operandAt(1), out: result };
  return { phases: [contraction(of, from, isa, cores)] };
};

/** The first axis put before the last. */
function firstBehind({ shape, strides }: View): View {
  const turn = (list: readonly number[]): readonly number[] => [
    ...list.slice(1, -1),
    ...list.slice(0, 1),
    ...list.slice(-1),
  ];
  return shape.length < 2 ? { shape, strides } : { shape: turn(shape), strides: turn(strides) };
}

/** Rows of a value whose last axis is a vector: [rows, width]. */
function rowsOf({ shape }: Block): View {
  const width = shape.at(-1) ?? 1;
  return viewOf([sizeOf(shape.slice(0, -1)), width]);
}

/** A value that is added to rows [..., width], repeated to them. */
function addendOf({ shape }: Block, result: Block): View {
  if (sizeOf(shape) === sizeOf(result.shape)) return rowsOf(result);
  const full = broadcastTo(viewOf(shape), result.shape);
  if (full.strides.slice(0, -1).some((s, i) => s !== 0 && result.shape[i] !== 1)) {
    throw new KernelGap(`an addend of shape [${shape}]`);
  }
  return { shape: [1, full.shape.at(-1) ?? 1], strides: [0, full.strides.at(-1) ?? 0] };
}

/** y + scale · (x·Aᵀ)·Bᵀ: the narrow product goes to the scratch memory. */
const lora: Generate = (request) => {
  const { operands, results, isa, cores } = request;
  const [x, y, a, b] = [0, 1, 2, 3].map((i) => single(operands[i])) as [Block, Block, Block, Block];
  const out = single(results[0]);
  const rows = rowsOf(x);
  const rank = a.shape[0] ?? 1;
  const low = viewOf([rows.shape[0] ?? 1, rank]);
  const down = contraction(
    { a: rows, b: transposedView(viewOf(a.shape)), out: low },
    { a: operandAt(0), b: operandAt(2), out: (k) => k.scratch() },
    isa,
    cores,
  );
  const up = contraction(
    {
      a: low,
      b: transposedView(viewOf(b.shape)),
      out: rowsOf(out),
      c: addendOf(y, out),
      alpha: numberOf(request, "scale", 1),
    },
    { a: (k) => k.scratch(), b: operandAt(3), c: operandAt(1), out: result },
    isa,
    cores,
  );
  return { phases: [down, up], scratchBytes: WORD * sizeOf(low.shape) };
};

/** Where the weight of a linear layer stands among its operands. */
const WEIGHT = 3;

/** The matrix [in, out] of a linear layer, and how many bytes of the stack are before it. */
function matrixOf(request: KernelRequest, { shape }: Block): { view: View; at: number } {
  const isTransposed = flagOf(request, "transposed");
  const slice = numberOf(request, "slice", -1);
  const own = slice >= 0 && shape.length > 2 ? shape.slice(1) : shape;
  const outputs = (isTransposed ? own[0] : own.at(-1)) ?? 1;
  const inputs = outputs === 0 ? 0 : sizeOf(own) / outputs;
  const view = isTransposed ? transposedView(viewOf([outputs, inputs])) : viewOf([inputs, outputs]);
  return { view, at: own === shape ? 0 : slice * sizeOf(own) * WORD };
}

const linear: Generate = (request) => {
  const { operands, results, isa, cores } = request;
  const [x, out, weight] = [single(operands[0]), single(results[0]), single(operands[WEIGHT])];
  if (operands[2]) throw new KernelGap("routing");
  const bias = operands[1] ? single(operands[1]) : null;
  const { view, at } = matrixOf(request, weight);
  const of = { a: rowsOf(x), b: view, out: rowsOf(out), c: bias && addendOf(bias, out) };
  const from = {
    a: operandAt(0),
    b: (k: PhaseAssembler) => k.add(k.operand(WEIGHT), at),
    c: operandAt(1),
    out: result,
  };
  return { phases: [contraction(of, from, isa, cores)] };
};

export const MATMUL: GeneratorTable = {
  MatMul: matmul,
  Gemm: gemm,
  "com.microsoft.FusedMatMul": fusedMatMul,
  "nn.linear": linear,
  "nn.lora": lora,
};
