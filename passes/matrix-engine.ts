/**
 * matrix-engine: compute products with constant weights in halves, on the matrix engine beside a cluster's cores.
 *
 * Before: every linear has `place`; low-rank branches are beside their linears.
 * After: where the user wants it, digital linears and branches of real numbers have `engine`, and halves of their weights:
 * linears in place of them, as [in, out], branches beside them, because adapters are kept as they were given.
 * Why a choice of the user's: the engine rounds every multiply-add to a half, which no other digital operation does. Why
 * here: what is rounded is seen in every dump from here on, and who schedules and runs an operation need not know why.
 */

import { createHash } from "node:crypto";
import { boolAttr, weightAttr } from "../src/ir/attrs.ts";
import { blockScalesOf, linearSize } from "../src/ir/dialects/nn/linear.ts";
import { isWeightRef, type Op, type WeightRef } from "../src/ir/op.ts";
import { withAttrs } from "../src/ir/rewrite.ts";
import { fromNumbers, toF32 } from "../src/tensor/convert.ts";
import { sizeOf, type Tensor } from "../src/tensor/tensor.ts";
import type { WeightStore } from "../src/weights/store.ts";
import type { Pass } from "./pass.ts";

export const matrixEngine: Pass = {
  name: "matrix-engine",
  summary:
    "compute digital products in halves on the clusters' matrix engines, where that is wanted",
  needs: ["assigned"],
  gives: [],
  run(module, context) {
    // Without the option nothing is asked of a target: examining a model has none.
    if (!context.options.matrixEngine) return module;
    const { target, weights, remark } = context;
    const engine = target.cluster.matrixEngine;
    if (!engine) return module;
    const known = new Map<string, WeightRef>();
    const halves = (ref: WeightRef, how: Layout): WeightRef => {
      const key = `${ref.weight}/${how.name}`;
      const found = known.get(key) ?? halvesOf(ref, how, weights);
      known.set(key, found);
      return found;
    };
    const left = module.ops.filter((op) => isProduct(op) && !isFit(op));
    for (const op of left) {
      remark({
        text: "computed by the cores: the matrix engine takes no such product",
        nodes: op.origin,
      });
    }
    const ops = module.ops.map((op) => (isFit(op) ? moved(op, engine.kind, halves) : op));
    return { ...module, ops };
  },
};

const isProduct = (op: Op): boolean =>
  op.kind === "nn.lora" || (op.kind === "nn.linear" && op.attrs["place"] === "digital");

const isHalfOrSingle = (elem: string | undefined): boolean => elem === "f32" || elem === "f16";

/** Products of all rows of x with one matrix of real numbers. */
function isFit(op: Op): boolean {
  if (!isProduct(op)) return false;
  const [x, second, routing] = op.operands;
  const [y] = op.results;
  const values = op.kind === "nn.lora" ? [x, second, y] : [x, y];
  if (!values.every((v) => isHalfOrSingle(v?.type.elem))) return false;
  const names = op.kind === "nn.lora" ? ["a", "b"] : ["weight"];
  const refs = names.map((name) => weightAttr(op, name));
  if (!refs.every((w) => isWeightRef(w) && isHalfOrSingle(w.type.elem) && sizeOf(w.type.shape) > 0))
    return false;
  return op.kind === "nn.lora" || (!routing && !blockScalesOf(op) && linearSize(op) !== null);
}

/** How a matrix of halves is made of a constant. */
interface Layout {
  readonly name: string;
  readonly shape: readonly number[];
  /** Where element i of the matrix is in the constant. */
  place(i: number): number;
}

type Halves = (ref: WeightRef, how: Layout) => WeightRef;

function moved(op: Op, engine: string, halves: Halves): Op {
  const ref = (name: string): WeightRef => weightAttr(op, name) as WeightRef;
  if (op.kind === "nn.lora") {
    const same = (r: WeightRef): WeightRef =>
      halves(r, { name: "halves", shape: r.type.shape, place: (i) => i });
    return withAttrs(op, { engine, a_halves: same(ref("a")), b_halves: same(ref("b")) });
  }
  const { slice: _slice, transposed: _transposed, ...attrs } = op.attrs;
  const weight = halves(ref("weight"), matrixOf(op));
  return { ...op, attrs: { ...attrs, engine, weight, transposed: false } };
}

/** The matrix of a linear as [in, out]. */
function matrixOf(op: Op): Layout {
  const [inputs = 0, outputs = 0] = linearSize(op) ?? [];
  const slice = op.attrs["slice"];
  const first = typeof slice === "number" ? slice * inputs * outputs : 0;
  const isTransposed = boolAttr(op, "transposed");
  return {
    name: `halves${typeof slice === "number" ? `.${slice}` : ""}${isTransposed ? ".turned" : ""}`,
    shape: [inputs, outputs],
    place: (i) => first + (isTransposed ? (i % outputs) * inputs + Math.floor(i / outputs) : i),
  };
}

function halvesOf(ref: WeightRef, how: Layout, weights: WeightStore): WeightRef {
  const type = { elem: "f16" as const, shape: how.shape };
  if (ref.type.elem === "f16" && how.name === "halves" && ref.type.shape.length === 2) return ref;
  const compute = (): Tensor => {
    const from = toF32(weights.load(ref));
    const values = Float32Array.from(
      { length: sizeOf(how.shape) },
      (_, i) => from[how.place(i)] ?? 0,
    );
    return fromNumbers("f16", how.shape, values);
  };
  const name = `${ref.weight}.${how.name}`;
  const sha256 = createHash("sha256").update(`${name} of ${ref.sha256}`).digest("hex");
  return weights.defer?.(name, type, sha256, compute) ?? weights.add(name, compute());
}
