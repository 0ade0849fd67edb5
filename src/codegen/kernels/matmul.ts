/**
 * Matrix products: MatMul, Gemm, FusedMatMul, and the low-rank branch beside a linear layer. Sums are taken in single
 * precision with fused multiply-adds, in the order of the summed axis or in parts of it.
 */

import { sizeOf } from "../../tensor/tensor.ts";
import { inSingle } from "../in-single.ts";
import type { Block, Generate, GeneratorTable } from "../kernel.ts";
import { contraction } from "../product/phase.ts";
import { addendOf, rowsOf } from "../product/rows.ts";
import { transposedView, type View, viewOf } from "../product/view.ts";
import { firstResult, flagOf, number, operandAt, single } from "../request.ts";
import { engineLora, isOnEngine } from "./engine.ts";
import { integerMatMul } from "./integer-product.ts";
import { isWhole } from "./integers.ts";

const WORD = 4;

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

const matmul: Generate = (request) => {
  const { operands, results, isa, cores } = request;
  if (results[0] && isWhole(results[0].elem)) return integerMatMul(request);
  const [a, b] = [single(operands[0]), single(operands[1])];
  const from = { a: operandAt(0), b: operandAt(1), out: firstResult };
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
    alpha: number(request, "alpha", 1),
    beta: number(request, "beta", 1),
  };
  const from = { a: operandAt(0), b: operandAt(1), c: operandAt(2), out: firstResult };
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
  const of = { ...sides(side(0, "A"), side(1, "B")), alpha: number(request, "alpha", 1) };
  const from = { a: operandAt(0), b: operandAt(1), out: firstResult };
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

/** y + (scale · x·Aᵀ)·Bᵀ: the narrow product, which has the fewest numbers to scale, goes to the scratch memory. */
const lora: Generate = (request) => {
  const { operands, results, isa, cores } = request;
  const [x, y, a, b] = [0, 1, 2, 3].map((i) => single(operands[i])) as [Block, Block, Block, Block];
  const out = single(results[0]);
  const rows = rowsOf(x);
  const rank = a.shape[0] ?? 1;
  const low = viewOf([rows.shape[0] ?? 1, rank]);
  const down = contraction(
    {
      a: rows,
      b: transposedView(viewOf(a.shape)),
      out: low,
      alpha: number(request, "scale", 1),
    },
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
    },
    { a: (k) => k.scratch(), b: operandAt(3), c: operandAt(1), out: firstResult },
    isa,
    cores,
  );
  return { phases: [down, up], scratchBytes: WORD * sizeOf(low.shape) };
};

export const MATMUL: GeneratorTable = {
  MatMul: inSingle(matmul),
  Gemm: inSingle(gemm),
  "com.microsoft.FusedMatMul": inSingle(fusedMatMul),
  "nn.lora": (request) => (isOnEngine(request) ? engineLora : inSingle(lora))(request),
};
