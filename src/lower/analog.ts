/**
 * The analog tiles in ordinary ONNX operators: each block's converters, weights and noise as Clip, Round,
 * MatMul and RandomNormalLike nodes, so that the lowered model runs wherever ONNX does.
 *
 * The arithmetic is that of src/sim/conversion.ts. Programming noise and drift are in the weights already; where
 * these come from is the business of a ChipSource.
 */

import { type Block, blocksOf, type MappedWeight } from "../artifact/mapping.ts";
import { fail } from "../diag/diagnostic.ts";
import { intAttr } from "../ir/attrs.ts";
import { wrappedOp } from "../ir/dialects/program.ts";
import type { Module, Op, Value } from "../ir/op.ts";
import { freshNames } from "../ir/rewrite.ts";
import { codeOf } from "../onnx/elem.ts";
import { rowStarts } from "../sim/crossbar.ts";
import type { Artifact } from "../sim/load.ts";
import type { Target } from "../target/schema.ts";
import type { Dim } from "../tensor/tensor.ts";
import { AnalogArray, type LoweredMode, type Lowering, levelOf } from "./analog-array.ts";
import { Builder } from "./builder.ts";
import type { ChipSource, Tile } from "./chip-source.ts";

/**
 * Replaces every grid of tiles of an aimc or program module by what its tiles compute.
 * Errors: A416 for converters that read again what clipped: a loop over data has no place in the graph.
 */
export function lowerTiles(
  module: Module,
  artifact: Artifact,
  mode: LoweredMode,
  chip: ChipSource,
): Module {
  const { target } = artifact;
  if (target.tile.adc.whenClipped === "retry") {
    const text = `the converters of ${target.name} read again what clipped, which ONNX cannot say`;
    fail("A416", text, { kind: "command" }, "simulate it: --engine wasm");
  }
  const grids = new Map<string, Grid>();
  let number = 0;
  for (const weight of artifact.mapping.weights) {
    const tiles = blocksOf(weight).map((block) => ({ block, number: number++ }));
    grids.set(weight.name, { weight, tiles });
  }
  const fresh = freshNames(module);
  const partials = new Map<string, readonly Value[]>();
  const added = addedOnly(module);
  const ops = module.ops.flatMap((step) => {
    if (step.kind === "program.receive") return [];
    const op = step.kind.startsWith("program.") ? (wrappedOp(step) ?? step) : step;
    const known = op.kind === "aimc.sum" ? partials.get(op.operands[0]?.id ?? "") : undefined;
    if (known) return addUp(op, known, fresh);
    if (op.kind !== "aimc.mvm") return [op];
    const grid = grids.get(mappedName(op));
    if (!grid) throw new Error(`the artifact maps no weight ${mappedName(op)}`);
    return lowerGrid(op, grid, { mode, target, chip }, { fresh, partials, added });
  });
  return { ...module, level: "aimc", ops, inputs: [...module.inputs, ...chip.inputs] };
}

interface Grid {
  readonly weight: MappedWeight;
  readonly tiles: readonly Tile[];
}

/** What grids of one module share. */
interface Shared {
  readonly fresh: (base: string) => string;
  /** Partial sums, by the name of the value that would hold them all. */
  readonly partials: Map<string, readonly Value[]>;
  readonly added: ReadonlySet<string>;
}

/** Float32 values that nothing reads but the one operation that adds them up. */
function addedOnly({ ops, outputs }: Module): ReadonlySet<string> {
  const readers = new Map<string, Op[]>();
  for (const op of ops) {
    for (const v of op.operands) if (v) readers.set(v.id, [...(readers.get(v.id) ?? []), op]);
  }
  const leaving = new Set(outputs.map((o) => o.value.id));
  const isSum = (op: Op) => (wrappedOp(op) ?? op).kind === "aimc.sum";
  const values = ops.flatMap((op) => op.results);
  return new Set(
    values.flatMap(({ id, type }) => {
      const by = readers.get(id) ?? [];
      return type.elem === "f32" && !leaving.has(id) && by.length > 0 && by.every(isSum)
        ? [id]
        : [];
    }),
  );
}

/** Neighbours in pairs until one is left, as the kernel of aimc.sum adds. */
function addUp(op: Op, partials: readonly Value[], fresh: Shared["fresh"]): readonly Op[] {
  const b = new Builder(op, fresh);
  const [result] = op.results;
  if (!result) throw new Error("a sum has a result");
  let rows = partials;
  while (rows.length > 1) {
    rows = rows.flatMap((row, r) => {
      if (r % 2 === 1) return [];
      const next = rows[r + 1];
      return [next ? b.op("Add", [row, next], row.type) : row];
    });
  }
  b.define(result);
  return b.ops;
}

function mappedName(op: Op): string {
  const weight = op.attrs["weight"];
  const slice = op.attrs["slice"];
  const name = typeof weight === "object" && "weight" in weight ? String(weight["weight"]) : "";
  return typeof slice === "number" ? `${name}#${slice}` : name;
}

function lowerGrid(op: Op, { weight, tiles }: Grid, how: Lowering, shared: Shared): readonly Op[] {
  const [input, routing] = op.operands;
  const [result] = op.results;
  if (!input || !result) throw new Error("a grid has an input and a result");
  const b = new Builder(op, shared.fresh);
  const leading = input.type.shape.slice(0, -1);
  const x = input.type.elem === "f32" ? input : b.op("Cast", [input], input.type, { to: 1 });
  const partials = rowStarts(weight).map((start) => {
    const row = tiles.filter(({ block }) => block.rows[0] === start);
    const first = row[0]?.block as Block;
    const given = inputsOf(b, x, leading, first, how.target);
    const parts = row.map((tile) => productOf(b, given, leading, tile, how));
    return joined(b, parts, [...leading, weight.cols], -1);
  });
  if (partials.length > 1 && !routing && shared.added.has(result.id)) {
    shared.partials.set(result.id, partials);
    return b.ops;
  }
  let y = partials[0] as Value;
  if (partials.length > 1) {
    const axis = b.ints([0]);
    const stacked = partials.map((p) =>
      b.op("Unsqueeze", [p, axis], { shape: [1, ...p.type.shape] }),
    );
    y = joined(b, stacked, [partials.length, ...leading, weight.cols], 0);
  }
  if (routing) y = idleRows(b, op, y, routing);
  b.op("Cast", [y], result.type, { to: codeOf(result.type.elem) });
  b.define(result);
  return b.ops;
}

function joined(b: Builder, parts: readonly Value[], shape: readonly Dim[], axis: number): Value {
  const [only] = parts;
  return parts.length === 1 && only ? only : b.op("Concat", parts, { shape }, { axis });
}

/** The rows of a block as the DAC gives them, and the range alpha that they were divided by. */
interface Given {
  readonly x: Value;
  readonly alpha: Value;
}

/** DAC: the block's rows of x over their range, clipped and rounded. */
function inputsOf(b: Builder, x: Value, leading: readonly Dim[], block: Block, t: Target): Given {
  const [from, to] = block.rows;
  const type = { shape: [...leading, to - from] };
  const rows = b.op("Slice", [x, b.ints([from]), b.ints([to]), b.ints([-1])], type);
  const { bits, bound, range } = t.tile.dac;
  const alpha =
    range === "static" ? b.float(block.inputRange) : largestOf(b, rows, [...leading, 1]);
  const scaled = b.op("Div", [rows, alpha], type);
  const step = bound.value / (2 ** (bits.value - 1) - 1);
  const level = levelOf(b, scaled, -bound.value, bound.value, step);
  return { x: b.op("Mul", [level, b.float(step)], type), alpha };
}

/** The largest |x| of each vector, 1 where all are 0. */
function largestOf(b: Builder, x: Value, shape: readonly Dim[]): Value {
  const largest = b.op("ReduceMax", [b.op("Abs", [x], x.type), b.ints([-1])], { shape });
  const isZero = b.op("Equal", [largest, b.float(0)], { shape, elem: "i1" });
  return b.op("Where", [isZero, b.float(1), largest], { shape });
}

function productOf(
  b: Builder,
  given: Given,
  leading: readonly Dim[],
  tile: Tile,
  how: Lowering,
): Value {
  const { block } = tile;
  const type = { shape: [...leading, block.cols[1] - block.cols[0]] };
  const array = new AnalogArray(b, given.x, tile, how);
  const dot = b.op("MatMul", [given.x, array.weights], type);
  const { value, step } = array.through(dot);
  // Steps and scales belong to the columns: one product for each result, two where the range is the vector's own.
  const scales = how.chip.scales(b, tile);
  const isStatic = how.target.tile.dac.range === "static";
  const unit = b.float(step * (isStatic ? block.inputRange : 1));
  const out = b.op("Mul", [value, b.op("Mul", [scales, unit], scales.type)], type);
  return isStatic ? out : b.op("Mul", [out, given.alpha], type);
}

/** Rows that are not routed to the expert are zero. */
function idleRows(b: Builder, op: Op, y: Value, routing: Value): Value {
  const column = { shape: [routing.type.shape[0] ?? null, 1], elem: routing.type.elem };
  const chosen = b.op("Gather", [routing, b.ints([intAttr(op, "expert")])], column, { axis: 1 });
  const share =
    routing.type.elem === "f32"
      ? chosen
      : b.op("Cast", [chosen], { ...column, elem: "f32" }, { to: 1 });
  const idle = b.op("Equal", [share, b.float(0)], { ...column, elem: "i1" });
  return b.op("Where", [idle, b.float(0), y], y.type);
}
