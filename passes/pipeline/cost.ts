/** What one full iteration of a step is predicted to cost, from the target's tables and the step's regions. */

import type { Domain, Select, Step } from "../../src/artifact/schedule.ts";
import { intsAttr } from "../../src/ir/attrs.ts";
import { MVM } from "../../src/ir/dialects/program.ts";
import { type Attr, isTensorAttr, isWeightRef, type Op } from "../../src/ir/op.ts";
import { cyclesToNs, kernelNj, kernelNs, mvmNj, mvmNs } from "../../src/target/cost.ts";
import type { Target } from "../../src/target/schema.ts";
import { workOf } from "../../src/target/work.ts";
import type { Dim } from "../../src/tensor/tensor.ts";

export type Cost = Step["cost"];

/** Selections of the operands (null: absent) and of the results. */
export interface Regions {
  readonly domain: Domain;
  readonly reads: readonly (readonly Select[] | null)[];
  readonly writes: readonly (readonly Select[])[];
}

export function stepCost(target: Target, op: Op, regions: Regions): Cost {
  return op.kind === MVM ? launchCost(target, op, regions) : kernelCost(target, op, regions);
}

/** The cluster only starts the tiles; blocks of the grid run side by side, so the widest decides. */
function launchCost(target: Target, op: Op, { domain, reads }: Regions): Cost {
  const x = shapeOf(op.operands[0]?.type.shape ?? [], reads[0] ?? [], domain);
  const vectors = x.slice(0, -1).reduce((a, b) => a * b, 1);
  const columns = intsAttr(op, "col_splits");
  const widest = Math.max(...columns.slice(1).map((c, i) => c - (columns[i] ?? 0)));
  const blocks = (columns.length - 1) * (intsAttr(op, "row_splits").length - 1);
  return {
    digitalNs: cyclesToNs(target, target.cluster.launchCycles.value),
    tileNs: mvmNs(target, vectors, widest),
    energyNj: mvmNj(target, vectors, blocks),
  };
}

function kernelCost(target: Target, op: Op, { domain, reads, writes }: Regions): Cost {
  const operands = op.operands.map((v, i) => v && shapeOf(v.type.shape, reads[i] ?? [], domain));
  const results = op.results.map((r, i) => shapeOf(r.type.shape, writes[i] ?? [], domain));
  const work = workOf(op.kind, operands, results, Object.values(op.attrs).flatMap(weightShape));
  return { digitalNs: kernelNs(target, work), tileNs: 0, energyNj: kernelNj(target, work) };
}

/** A stack of matrices counts as one of them. */
const weightShape = (a: Attr): (readonly Dim[])[] => {
  if (isWeightRef(a)) return [a.type.shape.slice(-2)];
  return isTensorAttr(a) ? [a.shape.slice(-2)] : [];
};

/** The shape of a region in a full iteration. Prefixes count half of the axis: their mean over a batch. */
function shapeOf(shape: readonly Dim[], select: readonly Select[], domain: Domain): number[] {
  return shape.map((d, i) => sizeAlong(d ?? 1, select[i] ?? "all", domain));
}

function sizeAlong(size: number, select: Select, { block }: Domain): number {
  if (select === "all") return size;
  if (select === "batch") return 1;
  if (select === "token" || select === "row") return Math.min(block, size);
  if ("upto" in select) return Math.ceil((size + Math.min(block, size)) / 2);
  return Math.min(size, select.window + block - 1);
}
