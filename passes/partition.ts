/**
 * partition: cut every analog linear into a grid of near-equal blocks no larger than a tile.
 *
 * Before: the nn level; every linear has `place`.
 * After: the aimc level; an analog linear is one aimc.mvm, then aimc.sum when it has several row blocks,
 * then its bias as onnx.Add. Digital linears stay nn.linear.
 * Why near-equal parts, as few as possible: a short last block would leave rows idle and make one partial
 * sum noisier than the others (Le Gallo et al., arXiv 2212.02872, mapping; Rasch et al., 2023).
 */

import { intAttr, weightAttr } from "../src/ir/attrs.ts";
import { linearSize } from "../src/ir/dialects/nn/linear.ts";
import type { Attrs, Op, Value } from "../src/ir/op.ts";
import { freshNames } from "../src/ir/rewrite.ts";
import { fromNumbers } from "../src/tensor/convert.ts";
import type { Tensor, TensorType } from "../src/tensor/tensor.ts";
import type { Pass } from "./pass.ts";

export const partition: Pass = {
  name: "partition",
  summary: "cut every analog linear into a grid of near-equal blocks no larger than a tile",
  needs: ["assigned"],
  gives: ["partitioned"],
  run(module, { target }) {
    const fresh = freshNames(module);
    const limits = [target.tile.rows.value, target.tile.cols.value] as const;
    const ops = module.ops.flatMap((op) =>
      op.kind === "nn.linear" && op.attrs["place"] === "analog" ? cut(op, limits, fresh) : [op],
    );
    return { ...module, level: "aimc", ops };
  },
};

/** [0, …, size]: the fewest parts no larger than `limit`, as even as whole numbers allow, larger ones first. */
export function nearEqualSplits(size: number, limit: number): number[] {
  const parts = Math.ceil(size / limit);
  return Array.from({ length: parts + 1 }, (_, i) => Math.ceil((size * i) / parts));
}

type Fresh = (base: string) => string;

function cut(op: Op, [rows, cols]: readonly [number, number], fresh: Fresh): readonly Op[] {
  const size = linearSize(op);
  const [result] = op.results;
  const [x = null, bias = null, routing = null] = op.operands;
  if (!size || !result || !x) throw new Error(`${op.kind} has no weight matrix, x or result`);
  const rowSplits = nearEqualSplits(size[0], rows);
  const make = maker(op, result, fresh);
  const parts = rowSplits.length - 1;
  const shape = parts > 1 ? [parts, ...result.type.shape] : result.type.shape;
  const grid = {
    ...without(op.attrs, "place"),
    weight: weightAttr(op, "weight"),
    row_splits: rowSplits,
    col_splits: nearEqualSplits(size[1], cols),
  };
  const steps: Step[] = [
    ["aimc.mvm", routing ? [x, routing] : [x], grid, { ...result.type, shape }],
  ];
  const beside = belonging(op);
  if (parts > 1)
    steps.push(["aimc.sum", [PREVIOUS], beside("adds the partial sums of row blocks")]);
  if (bias) {
    steps.push(["onnx.Add", [PREVIOUS, bias], beside("a bias is added digitally, after the tile")]);
    if (routing) return [...idleRows(op, routing, fresh, steps, make)];
  }
  return make(steps);
}

/** Stands for the result of the step before. */
const PREVIOUS = "previous";
type Step = readonly [
  kind: string,
  operands: readonly (Value | typeof PREVIOUS)[],
  attrs: Attrs,
  type?: TensorType,
];
type Make = (steps: readonly Step[]) => readonly Op[];

/** Turns a chain of steps into operations; the last one defines the linear's own result. */
function maker(op: Op, result: Value, fresh: Fresh): Make {
  return (steps) => {
    const ops: Op[] = [];
    let previous: Value = result;
    for (const [i, [kind, operands, attrs, type = result.type]] of steps.entries()) {
      const isLast = i === steps.length - 1;
      const value = isLast ? result : { id: fresh(`${result.id}.${kind.split(".")[1]}`), type };
      const inputs = operands.map((v) => (v === PREVIOUS ? previous : v));
      ops.push({ kind, operands: inputs, results: [value], attrs, origin: op.origin });
      previous = value;
    }
    return ops;
  };
}

/** Attributes of the digital operations beside a grid. */
const belonging = (op: Op) => {
  const path = op.attrs["module"];
  return (why: string): Attrs => ({ why, ...(typeof path === "string" && { module: path }) });
};

/** After its bias, the rows that are not routed to an expert have to be zero again. */
function* idleRows(op: Op, routing: Value, fresh: Fresh, steps: Step[], make: Make) {
  const [result] = op.results;
  if (!result) return;
  const beside = belonging(op)("rows of other experts stay zero");
  const constant = (name: string, value: Tensor): Op => ({
    kind: "onnx.Constant",
    operands: [],
    results: [{ id: fresh(`${result.id}.${name}`), type: value }],
    attrs: { value },
    origin: op.origin,
  });
  const define = (
    kind: string,
    operands: readonly (Value | undefined)[],
    type: TensorType,
    attrs: Attrs,
  ): Op => ({
    kind: `onnx.${kind}`,
    operands: operands.map((v) => v ?? null),
    results: [{ id: fresh(`${result.id}.${kind}`), type }],
    attrs: { ...beside, ...attrs },
    origin: op.origin,
  });
  const column = constant("column", fromNumbers("i64", [1], [intAttr(op, "expert")]));
  const nothing = constant("zero", fromNumbers(routing.type.elem, [], [0]));
  const zero = constant("zero", fromNumbers(result.type.elem, [], [0]));
  const shape = [routing.type.shape[0] ?? null, 1];
  const of = (o: Op) => o.results[0];
  const weight = define(
    "Gather",
    [routing, of(column)],
    { elem: routing.type.elem, shape },
    { axis: 1 },
  );
  const idle = define("Equal", [of(weight), of(nothing)], { elem: "i1", shape }, {});
  yield* [column, nothing, zero, weight, idle];
  const mask = of(idle);
  const fill = of(zero);
  if (mask && fill) yield* make([...steps, ["onnx.Where", [mask, fill, PREVIOUS], beside]]);
}

function without(attrs: Attrs, name: string): Attrs {
  const { [name]: _, ...others } = attrs;
  return others;
}
