/** Facts that order the passes. A fact carries its own proof, so that a pass cannot merely claim it. */

import type { Module, Op, Value } from "../src/ir/op.ts";
import type { Target } from "../src/target/schema.ts";

type Proof = (module: Module, target: Target) => boolean;

const every =
  (holds: (op: Module["ops"][number]) => boolean): Proof =>
  (m) =>
    m.ops.every(holds);

const stepsCarry = (m: Module, name: string): boolean =>
  m.ops.every((op) => !/^program\.(call|launch)$/.test(op.kind) || op.attrs[name] !== undefined);

export const FACTS = {
  /** Every dimension that does not depend on data is a number. */
  typed: every((op) => op.results.every((r) => r.type !== undefined)),
  /** No operation is left whose operands are all constant, but for those that unpack weights. */
  folded: (m) => {
    const constants = m.ops.filter((op) => op.kind === "onnx.Constant");
    const constant = new Set<Value>(constants.flatMap((op) => op.results));
    const foldable = (op: Op) =>
      op.kind !== "onnx.DequantizeLinear" &&
      op.operands.length > 0 &&
      op.operands.every((v) => v === null || constant.has(v));
    return !m.ops.some(foldable);
  },
  /** Modules of the network are recognised: the level is nn or below. */
  raised: (m) => m.level !== "onnx",
  /** Every linear says whether it is analog or digital, and why. */
  assigned: every((op) => op.kind !== "nn.linear" || typeof op.attrs["place"] === "string"),
  /** Every analog linear is a grid of blocks no larger than a tile. */
  partitioned: every((op) => op.kind !== "nn.linear" || op.attrs["place"] === "digital"),
  /** Every grid knows its converter ranges. */
  calibrated: every((op) => op.kind !== "aimc.mvm" || op.attrs["input_range"] !== undefined),
  /** Every block names a tile, no tile is named twice, and every digital operation a cluster. */
  placed: every((op) => op.kind !== "aimc.mvm" || op.attrs["tiles"] !== undefined),
  /** Every operation knows its domain and its waits, every value its ring. */
  pipelined: (m) => m.level === "program" && stepsCarry(m, "domain"),
  /** Every cluster has its ordered list of steps. */
  scheduled: (m) => m.level === "program" && stepsCarry(m, "cost"),
} satisfies Record<string, Proof>;

export type Fact = keyof typeof FACTS;
