/** Multiply-accumulates of an operation of the nn level, from its shapes. */

import { linearSize } from "../ir/dialects/nn/linear.ts";
import type { Module, Op, Value } from "../ir/op.ts";
import { producersOf } from "../ir/rewrite.ts";
import { workOf } from "../target/work.ts";
import { type Dim, sizeOf } from "../tensor/tensor.ts";

/** Dimensions that depend on data count as one. */
const elements = (shape: readonly Dim[] | undefined): number =>
  sizeOf((shape ?? []).map((d) => d ?? 1));

/** The share of the rows that a linear behind a router computes: k of E experts see a token. */
function shareOf(op: Op, producers: ReadonlyMap<Value, Op>): number {
  const routing = op.kind === "nn.linear" ? op.operands[2] : undefined;
  const router = routing ? producers.get(routing) : undefined;
  const experts = Number(routing?.type.shape[1]);
  return router ? Number(router.attrs["top_k"]) / experts : 1;
}

/** Every position of the result sums over the channels of a group and the kernel. */
const ofConvolution = (op: Op): number =>
  elements(op.results[0]?.type.shape) * elements(op.operands[1]?.type.shape.slice(1));

/** Every combination of the indices is one product, of as many factors as there are operands. */
function ofEinsum(op: Op): number {
  const [left = ""] = String(op.attrs["equation"] ?? "")
    .replaceAll(" ", "")
    .split("->");
  const sizes = new Map<string, number>();
  for (const [i, indices] of left.split(",").entries()) {
    const shape = op.operands[i]?.type.shape ?? [];
    for (const [axis, index] of [...indices].entries()) sizes.set(index, shape[axis] ?? 1);
  }
  return op.operands.length < 2 ? 0 : sizeOf([...sizes.values()]);
}

const PRODUCTS: Readonly<Record<string, (op: Op) => number>> = {
  "onnx.Conv": ofConvolution,
  "onnx.ConvInteger": ofConvolution,
  "onnx.Einsum": ofEinsum,
};

/** Causal attention counts what its mask hides, too. */
export function macsOf(module: Module): (op: Op) => number {
  const producers = producersOf(module);
  return (op) => {
    const own = PRODUCTS[op.kind];
    if (own) return own(op);
    const operands = op.operands.map((v) => v?.type.shape ?? null);
    const results = op.results.map((r) => r.type.shape);
    const size = op.kind === "nn.linear" ? linearSize(op) : null;
    const { macs } = workOf(op.kind, operands, results, size ? [size] : []);
    return macs * shareOf(op, producers);
  };
}
