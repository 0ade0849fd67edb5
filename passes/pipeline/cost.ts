/**
 * What one full iteration of a step is predicted to cost, from the step's regions and what the target says: tables, or
 * the cycles that the machine code of its kernel has been measured to take.
 */

import type { Domain, Select, Step } from "../../src/artifact/schedule.ts";
import { intsAttr } from "../../src/ir/attrs.ts";
import { inlineConstants } from "../../src/ir/constants.ts";
import { MVM } from "../../src/ir/dialects/program.ts";
import { isReplaced, kernelOf, padded } from "../../src/ir/dialects/program-schedule.ts";
import {
  type Attr,
  isTensorAttr,
  isWeightRef,
  type Module,
  type Op,
  type Value,
} from "../../src/ir/op.ts";
import { cyclesToNs, kernelNj, kernelNs, mvmNj, mvmNs } from "../../src/target/cost.ts";
import type { Target } from "../../src/target/schema.ts";
import { workOf } from "../../src/target/work.ts";
import type { Dim, Tensor } from "../../src/tensor/tensor.ts";
import type { MeasuredCall, PassContext } from "../pass.ts";

export type Cost = Step["cost"];

/** Selections of the operands (null: absent) and of the results. */
export interface Regions {
  readonly domain: Domain;
  readonly reads: readonly (readonly Select[] | null)[];
  readonly writes: readonly (readonly Select[])[];
}

/** Predicts an iteration of an operation over regions. */
export type Price = (op: Op, regions: Regions) => Cost;

/** Predictions for a machine. */
export function priceOn(
  { target, measured }: Pick<PassContext, "target" | "measured">,
  module: Module,
): Price {
  const constants = measured ? inlineConstants(module) : new Map<Value, Tensor>();
  return (op, regions) => {
    if (op.kind === MVM) return launchCost(target, op, regions);
    const cycles = measured?.(callOf(op, regions, constants)) ?? null;
    return cycles === null ? kernelCost(target, op, regions) : clusterCost(target, cycles);
  };
}

/** The kernel's launch is in the program's control, which is not measured with it. */
const clusterCost = (target: Target, cycles: number): Cost => {
  const all = cycles + target.cluster.launchCycles.value;
  return {
    digitalNs: cyclesToNs(target, all),
    tileNs: 0,
    energyNj: all * target.cluster.njPerCycle.value,
  };
};

function callOf(
  op: Op,
  { domain, reads, writes }: Regions,
  constants: ReadonlyMap<Value, Tensor>,
): MeasuredCall {
  const { kernel, attrs, weights } = kernelOf(op, op.kind);
  const block = ({ type }: Value, select: readonly Select[]) => ({
    elem: type.elem,
    shape: shapeOf(type.shape, select, domain),
  });
  const operands = op.operands.map((v, i) => {
    const constant = v && constants.get(v);
    return v && { ...block(v, reads[i] ?? []), ...(constant && { constant }) };
  });
  const held = weights.map(({ value }) => {
    const { elem, shape } = isWeightRef(value) ? value.type : value;
    return { elem, shape: shape.map((d) => d ?? 1) };
  });
  return {
    kernel,
    attrs,
    operands: [...padded(operands, op.kind, weights), ...held],
    results: op.results.map((r, i) => block(r, writes[i] ?? [])),
  };
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
  const read = Object.entries(op.attrs).filter(([name]) => !isReplaced(op, name));
  const weights = read.flatMap(([, a]) => weightShape(a));
  const work = workOf(op.kind, operands, results, weights);
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
