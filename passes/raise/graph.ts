/** A module as the raising passes look at it: backwards from results to their producers. */

import type { Op, Value, WeightRef } from "../../src/ir/op.ts";
import { isTensorAttr, isWeightRef, type Module } from "../../src/ir/op.ts";
import { OPS } from "../../src/ir/registry.ts";
import { freshNames, producersOf, removeDead, usersOf } from "../../src/ir/rewrite.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import { sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { Builder, constantsOf } from "../expand/builder.ts";
import type { NearMiss, PassContext } from "../pass.ts";
import { type ModulePaths, modulePaths } from "./module-paths.ts";

type MaybeValue = Value | null | undefined;

export interface Graph {
  readonly weights: WeightStore;
  readonly paths: ModulePaths;
  /** The producer of a value, looking through Identity and casts to the type it already has. */
  producer(v: MaybeValue, kind?: string): Op | undefined;
  /** The oldest value that holds the same numbers: behind Identity and casts to the same type. */
  strip(v: Value): Value;
  /** How many operations and graph outputs read a value. */
  uses(v: Value): number;
  usersOf(v: Value): readonly Op[];
  isInput(v: Value): boolean;
  isConstant(v: MaybeValue): boolean;
  /** The constant's reference or values, without loading it. */
  constant(v: MaybeValue): Tensor | WeightRef | undefined;
  /** The constant's values. Loads them, so ask for small ones only. */
  values(v: MaybeValue): Tensor | undefined;
  /** The value of a constant with one element. */
  scalar(v: MaybeValue): number | undefined;
  /** A new value, named after `base`. */
  fresh(base: string, type: Value["type"]): Value;
  /** Writes operations in place of one. */
  builder(source: Op): Builder;
  /** Names of the ONNX nodes between `inputs` and the operation, itself included. */
  originOf(root: Op, inputs: readonly MaybeValue[]): readonly string[];
  /**
   * Notes why the operation in question, which is so far a `pattern`, is none after all, and where. The
   * first note stands, unless a rule takes the operation up. Without a place it is the operation itself.
   * Gives what matchers give for no.
   */
  refuse(pattern: string, why: string, ...at: readonly (MaybeValue | Op)[]): null;
}

/** What an operation becomes: operations that together define its results. null: it stays. */
export type Rule = (op: Op, graph: Graph) => readonly Op[] | null;

const isNothing = (op: Op): boolean => {
  if (op.kind === "onnx.Identity") return true;
  return op.kind === "onnx.Cast" && op.operands[0]?.type.elem === op.results[0]?.type.elem;
};

function backwards(
  root: Op,
  inputs: readonly MaybeValue[],
  producers: ReadonlyMap<Value, Op>,
): string[] {
  const done = new Set<MaybeValue>(inputs);
  const seen = new Set<Op>([root]);
  for (const op of seen) {
    for (const v of op.operands) {
      const producer = v && !done.has(v) ? producers.get(v) : undefined;
      if (producer && producer.kind !== "onnx.Constant") seen.add(producer);
    }
  }
  // The set is in the order of discovery, from the result back; names read better forwards.
  return [...new Set([...seen].reverse().flatMap((op) => op.origin))];
}

/** What a graph needs from the pass that looks at it. */
type Context = Pick<PassContext, "weights" | "missed" | "scopes">;

type Refusal = Omit<NearMiss, "op">;

function graphOf(
  module: Module,
  { weights, scopes }: Context,
  producers: Map<Value, Op>,
  refusals: Refusal[],
): Graph {
  const users = usersOf(module);
  const outputs = new Set(module.outputs.map((p) => p.value));
  const inputs = new Set(module.inputs.map((p) => p.value));
  const named = freshNames(module);
  const around = {
    read: new Set([...users.keys(), ...outputs]),
    weights,
    constants: constantsOf(module.ops, weights),
    derived: new Map(),
    fresh: named,
  };
  const strip = (v: Value): Value => {
    let value = v;
    for (let op = producers.get(value); op && isNothing(op); op = producers.get(value)) {
      const [from] = op.operands;
      if (!from) break;
      value = from;
    }
    return value;
  };
  const producer: Graph["producer"] = (v, kind) => {
    const op = v ? producers.get(strip(v)) : undefined;
    return kind === undefined || op?.kind === kind ? op : undefined;
  };
  const constant: Graph["constant"] = (v) => {
    const value = producer(v, "onnx.Constant")?.attrs["value"];
    return isTensorAttr(value) || isWeightRef(value) ? value : undefined;
  };
  const values: Graph["values"] = (v) => {
    const c = constant(v);
    return isWeightRef(c) ? weights.load(c) : (c as Tensor | undefined);
  };
  return {
    weights,
    paths: modulePaths(module, scopes),
    producer,
    strip,
    constant,
    values,
    uses: (v) => (users.get(v)?.length ?? 0) + (outputs.has(v) ? 1 : 0),
    usersOf: (v) => users.get(v) ?? [],
    isInput: (v) => inputs.has(strip(v)),
    isConstant: (v) => constant(v) !== undefined,
    scalar(v) {
      if (!v || sizeOf(v.type.shape.map((d) => d ?? 0)) !== 1) return undefined;
      const c = values(v);
      return c ? toNumbers(c)[0] : undefined;
    },
    builder: (source) => new Builder(around, source),
    fresh: (base, type) => ({ id: named(base), type }),
    originOf: (root, from) => backwards(root, from, producers),
    refuse(pattern, why, ...at) {
      const nodes = at.flatMap((x) => (x ? placeOf(x, producers) : []));
      refusals.push({ pattern, why, nodes: [...new Set(nodes)] });
      return null;
    },
  };
}

/** The nodes of an operation, of a value's producer, or the name of the graph input that it is. */
function placeOf(x: Value | Op, producers: ReadonlyMap<Value, Op>): readonly string[] {
  if ("origin" in x) return x.origin;
  return producers.get(x)?.origin ?? [x.tensor ?? x.id];
}

/**
 * Applies a rule to every operation in order; what it replaced is visible to the next. Operations
 * that only served the replaced ones go.
 */
export function raiseOps(module: Module, context: Context, rule: Rule): Module {
  const producers = new Map(producersOf(module));
  const refusals: Refusal[] = [];
  const graph = graphOf(module, context, producers, refusals);
  const ops: Op[] = [];
  for (const op of module.ops) {
    const found = rule(op, graph);
    const [refusal] = refusals.splice(0);
    if (refusal && !found) {
      const nodes = refusal.nodes.length > 0 ? refusal.nodes : op.origin;
      context.missed?.({ ...refusal, nodes, op });
    }
    const raised = found ?? [op];
    for (const r of raised) for (const v of r.results) producers.set(v, r);
    ops.push(...raised);
  }
  return removeDead({ ...module, level: "nn", ops }, OPS);
}
