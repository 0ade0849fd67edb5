/**
 * The analog tiles in ordinary ONNX operators: their converters, weights and noise as QuantizeLinear, Clip, Round,
 * MatMul, MatMulInteger and RandomNormalLike nodes, so that the lowered model runs wherever ONNX does.
 *
 * The arithmetic is that of src/sim/conversion.ts. Programming noise and drift are in the weights already; where
 * these come from is the business of a ChipSource.
 */

import { fail } from "../diag/diagnostic.ts";
import { intAttr } from "../ir/attrs.ts";
import { gridSize } from "../ir/dialects/aimc.ts";
import { wrappedOp } from "../ir/dialects/program.ts";
import type { Module, Op, Value } from "../ir/op.ts";
import { freshNames } from "../ir/rewrite.ts";
import { codeOf } from "../onnx/elem.ts";
import type { Artifact } from "../sim/load.ts";
import type { Target } from "../target/schema.ts";
import { fromNumbers } from "../tensor/convert.ts";
import { AnalogArray, type LoweredMode, type Lowering } from "./analog-array.ts";
import { Builder } from "./builder.ts";
import type { ChipSource, Vectors } from "./chip-source.ts";
import { Levels } from "./dac.ts";
import { expertOf, type Grid, type Group, groupsOf } from "./groups.ts";
import { type Strip, stripsOf } from "./strip.ts";

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
  const fresh = freshNames(module);
  const shared: Shared = {
    fresh,
    partials: new Map(),
    added: addedOnly(module),
    levels: new Map(),
    taken: new Map(),
    chosen: new Map(),
  };
  const steps = module.ops
    .filter((step) => step.kind !== "program.receive")
    .map((step) => (step.kind.startsWith("program.") ? (wrappedOp(step) ?? step) : step));
  const groups = groupsOf(steps, artifact);
  const how = { mode, target, chip };
  const ops = steps.flatMap((op) => {
    if (op.kind === "aimc.mvm") {
      // The first takes all that have the same inputs with it.
      const group = groups.find(([first]) => first.op === op);
      return group ? lowerGroup(group, how, shared, groups) : [];
    }
    const known = op.kind === "aimc.sum" ? shared.partials.get(op.operands[0]?.id ?? "") : null;
    return known ? addUp(op, known, fresh) : [op];
  });
  return { ...module, level: "aimc", ops, inputs: [...module.inputs, ...chip.inputs] };
}

/** What grids of one module share. */
interface Shared {
  readonly fresh: (base: string) => string;
  /** Partial sums, by the name of the value that would hold them all. */
  readonly partials: Map<string, readonly Value[]>;
  readonly added: ReadonlySet<string>;
  /** Inputs behind their converters, and those of the vectors that are routed to an expert. */
  readonly levels: Map<string, Levels>;
  readonly taken: Map<string, Taken>;
  /** The vectors of an expert, i64 [n], by routing and expert. */
  readonly chosen: Map<string, Value>;
}

/** Inputs [..., in] of the vectors that are computed. */
interface Taken {
  readonly x: Value;
  readonly vectors: Vectors;
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

/** Exact products of experts, each with its tokens only: what is routed elsewhere is not computed. */
export function lowerExperts(module: Module): Module {
  const fresh = freshNames(module);
  const b = (op: Op) => new Builder(op, fresh);
  const ops = module.ops.flatMap((step) => {
    const op = wrappedOp(step) ?? step;
    const [x, routing] = op.operands;
    const [result] = op.results;
    if (op.kind !== "aimc.mvm" || !x || !routing || !result || gridSize(op)[0] > 1) return [step];
    const before = b(op);
    const at = routedTo(before, op, routing);
    const taken = gathered(before, x, at);
    const shape = [null, ...result.type.shape.slice(1)];
    const some: Value = { id: fresh(`some.${result.id}`), type: { ...result.type, shape } };
    const { expert: _, ...attrs } = op.attrs;
    const after = b(op);
    scattered(after, some, { x: taken, vectors: { shape: [null], at } }, x);
    after.define(result);
    return [...before.ops, { ...op, operands: [taken], results: [some], attrs }, ...after.ops];
  });
  return { ...module, ops };
}

function lowerGroup(
  group: Group,
  how: Lowering,
  shared: Shared,
  groups: readonly Group[],
): readonly Op[] {
  const [first] = group;
  const [input] = first.op.operands;
  if (!input) throw new Error("a grid has an input");
  const b = new Builder(first.op, shared.fresh);
  chooseAll(b, first.op, groups, shared);
  const taken = takenBy(b, first.op, shared);
  const parts = stripsOf(group).map((strip) => {
    const y = productOf(b, taken, strip, how, shared);
    return columnsOf(b, y, group).map((part) => scattered(b, part, taken, input));
  });
  const finished = group.map((grid, g) =>
    finish(
      grid,
      parts.map((row) => row[g] as Value),
      shared,
    ),
  );
  return [...b.ops, ...finished.flat()];
}

/** The result of a grid, from those of its rows of blocks. */
function finish({ op, result }: Grid, partials: readonly Value[], shared: Shared): readonly Op[] {
  if (partials.length > 1 && shared.added.has(result.id)) {
    shared.partials.set(result.id, partials);
    return [];
  }
  const b = new Builder(op, shared.fresh);
  const y = partials.length > 1 ? stacked(b, partials) : (partials[0] as Value);
  b.op("Cast", [y], result.type, { to: codeOf(result.type.elem) });
  b.define(result);
  return b.ops;
}

/** The columns of each grid. */
function columnsOf(b: Builder, y: Value, group: Group): readonly Value[] {
  if (group.length === 1) return [y];
  let end = 0;
  return group.map(({ weight: { cols } }) => {
    end += cols;
    const shape = [...y.type.shape.slice(0, -1), cols];
    return b.op("Slice", [y, b.ints([end - cols]), b.ints([end]), b.ints([-1])], { shape });
  });
}

/** All vectors, or those that are routed to the expert: the others are not computed. */
function takenBy(b: Builder, op: Op, shared: Shared): Taken {
  const { taken } = shared;
  const [input, routing] = op.operands as readonly [Value, Value?];
  const key = [input.id, routing?.id, op.attrs["expert"]].join(" ");
  const known = taken.get(key);
  if (known) return known;
  const { type } = input;
  const x =
    type.elem === "f32" ? input : b.op("Cast", [input], { shape: type.shape }, { to: FLOAT });
  const shape = type.shape.slice(0, -1);
  const at = routing && shared.chosen.get(expertOf(op));
  const found = at ? { x: gathered(b, x, at), vectors: { shape, at } } : { x, vectors: { shape } };
  taken.set(key, found);
  return found;
}

const FLOAT = codeOf("f32");

/** Partial sums [R, ..., cols]. */
function stacked(b: Builder, partials: readonly Value[]): Value {
  const shape = partials[0]?.type.shape ?? [];
  const axis = b.ints([0]);
  const slabs = partials.map((p) => b.op("Unsqueeze", [p, axis], { shape: [1, ...shape] }));
  return b.op("Concat", slabs, { shape: [partials.length, ...shape] }, { axis: 0 });
}

/** What the tiles of a strip make of their inputs. */
function productOf(b: Builder, taken: Taken, strip: Strip, how: Lowering, shared: Shared): Value {
  const { chip, target } = how;
  const levels = levelsOf(b, taken.x, strip, target, shared);
  const counts = new AnalogArray(b, levels, strip, taken.vectors, how).counts();
  const out = b.op("Mul", [counts, chip.part(b, strip, "scales")], counts.type);
  return levels.range ? b.op("Mul", [out, levels.range], counts.type) : out;
}

/** The rows of x that a strip takes, behind their converters. */
function levelsOf(b: Builder, x: Value, strip: Strip, target: Target, shared: Shared): Levels {
  const [from, to] = strip.rows;
  const { inputRange } = strip.tiles[0].block;
  const key = [x.id, from, to, inputRange].join(" ");
  const known = shared.levels.get(key);
  if (known) return known;
  const shape = [...x.type.shape.slice(0, -1), to - from];
  const isAll = x.type.shape.at(-1) === to - from;
  const rows = () => b.op("Slice", [x, b.ints([from]), b.ints([to]), b.ints([-1])], { shape });
  const levels = new Levels(b, isAll ? x : rows(), inputRange, target);
  shared.levels.set(key, levels);
  return levels;
}

/** The vectors of all experts of a routing, at once: what is drawn for them has to wait for it. */
function chooseAll(b: Builder, op: Op, groups: readonly Group[], { chosen }: Shared): void {
  const [, routing] = op.operands;
  if (!routing) return;
  for (const [{ op: other }] of groups) {
    const key = expertOf(other);
    if (other.operands[1]?.id !== routing.id || chosen.has(key)) continue;
    chosen.set(key, routedTo(b, other, routing));
  }
}

/** The numbers of the vectors that are routed to the expert, i64 [n]: the others are not computed. */
function routedTo(b: Builder, op: Op, routing: Value): Value {
  const { shape, elem } = routing.type;
  const column = { shape: shape.slice(0, 1), elem };
  const expert = b.number("i64", intAttr(op, "expert"));
  const share = b.op("Gather", [routing, expert], column, { axis: 1 });
  const known = elem === "f32" ? share : b.op("Cast", [share], column, { to: FLOAT });
  const found = b.op("NonZero", [known], { shape: [1, null], elem: "i64" });
  return b.op("Squeeze", [found, b.ints([0])], { shape: [null], elem: "i64" });
}

function gathered(b: Builder, x: Value, at: Value): Value {
  const shape = [null, ...x.type.shape.slice(1)];
  return b.op("Gather", [x, at], { elem: x.type.elem, shape });
}

/** y in the rows of the vectors that were taken of all of `like`, and 0 in the others. */
function scattered(b: Builder, y: Value, { vectors: { at } }: Taken, like: Value): Value {
  if (!at) return y;
  const cols = y.type.shape.slice(1);
  const shape = [like.type.shape[0] ?? null, ...cols];
  const count = b.op("Shape", [like], { shape: [1], elem: "i64" }, { end: 1 });
  const sizes = [count, b.ints(cols.map(Number))];
  const size = b.op("Concat", sizes, { shape: [2], elem: "i64" }, { axis: 0 });
  const { elem } = y.type;
  const value = fromNumbers(elem, [1], [0]);
  const zeros = b.op("ConstantOfShape", [size], { elem, shape }, { value });
  const rows = b.op("Unsqueeze", [at, b.ints([1])], { shape: [null, 1], elem: "i64" });
  return b.op("ScatterND", [zeros, rows, y], { elem, shape });
}
