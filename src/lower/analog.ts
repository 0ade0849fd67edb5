/**
 * The analog tiles in ordinary ONNX operators: their converters, weights and noise as QuantizeLinear, Clip, Round,
 * MatMul, MatMulInteger and RandomNormalLike nodes, so that the lowered model runs wherever ONNX does.
 *
 * The arithmetic is that of src/sim/conversion.ts. Programming noise and drift are in the weights already; where
 * these come from is the business of a ChipSource.
 */

import { fail } from "../diag/diagnostic.ts";
import { gridSize } from "../ir/dialects/aimc.ts";
import { wrappedOp } from "../ir/dialects/program.ts";
import type { Module, Op, Value } from "../ir/op.ts";
import { freshNames } from "../ir/rewrite.ts";
import { codeOf } from "../onnx/elem.ts";
import type { Artifact } from "../sim/load.ts";
import type { Target } from "../target/schema.ts";
import { AnalogArray, type LoweredMode, type Lowering } from "./analog-array.ts";
import { Builder } from "./builder.ts";
import type { ChipSource } from "./chip-source.ts";
import { ChosenLevels, type Forms, Levels } from "./dac.ts";
import { expertOf, type Grid, type Group, groupsOf } from "./groups.ts";
import {
  chooseAll,
  FLOAT,
  gathered,
  onlyChosen,
  type Routing,
  routedTo,
  scattered,
  type Taken,
} from "./routing.ts";
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
  const steps = module.ops
    .filter((step) => step.kind !== "program.receive")
    .map((step) => (step.kind.startsWith("program.") ? (wrappedOp(step) ?? step) : step));
  const groups = groupsOf(steps, artifact);
  const added = addedOnly(module);
  const shared: Shared = {
    fresh,
    partials: new Map(),
    added,
    levels: new Map(),
    taken: new Map(),
    chosen: new Map(),
    only: chip.isWhole ? new Map() : onlyChosen(steps, module.outputs, added),
    short: new Map(),
    groups,
  };
  const how = { mode, target, chip };
  const ops = steps.flatMap((op) => {
    if (op.kind === "aimc.mvm") {
      // The first takes all that have the same inputs with it.
      const group = groups.find(([first]) => first.op === op);
      return group ? lowerGroup(group, how, shared) : [];
    }
    const short = shortened(op, shared);
    const known = op.kind === "aimc.sum" ? shared.partials.get(op.operands[0]?.id ?? "") : null;
    return known ? addUp(short, known, fresh) : [short];
  });
  return { ...module, level: "aimc", ops, inputs: [...module.inputs, ...chip.inputs] };
}

/** The operation on the vectors of an expert alone, if nothing else of it is read. */
function shortened(op: Op, shared: Shared): Op {
  const [result] = op.results;
  if (!result || !shared.only.has(result.id)) return op;
  const operands = op.operands.map((v) => (v && shared.short.get(v.id)) ?? v);
  return { ...op, operands, results: [shortOf(result, shared)] };
}

/** What holds the vectors of an expert alone. */
function shortOf(result: Value, { fresh, short }: Shared): Value {
  const shape = [null, ...result.type.shape.slice(1)];
  const value = { id: fresh(`chosen.${result.id}`), type: { ...result.type, shape } };
  short.set(result.id, value);
  return value;
}

/** What grids of one module share. */
interface Shared extends Routing {
  readonly fresh: (base: string) => string;
  /** Partial sums, by the name of the value that would hold them all. */
  readonly partials: Map<string, readonly Value[]>;
  readonly added: ReadonlySet<string>;
  /** Inputs behind their converters, and those of the vectors that are routed to an expert. */
  readonly levels: Map<string, Forms>;
  readonly taken: Map<string, Taken>;
  readonly groups: readonly Group[];
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
    scattered(after, some, at, routing);
    after.define(result);
    return [...before.ops, { ...op, operands: [taken], results: [some], attrs }, ...after.ops];
  });
  return { ...module, ops };
}

function lowerGroup(group: Group, how: Lowering, shared: Shared): readonly Op[] {
  const [first] = group;
  const [, routing] = first.op.operands;
  const b = new Builder(first.op, shared.fresh);
  chooseAll(b, first.op, shared.groups, shared.chosen);
  const taken = takenBy(b, first.op, shared);
  const { at } = taken.vectors;
  const parts = stripsOf(group).map((strip) => {
    const y = productOf(b, taken, strip, how, shared);
    return columnsOf(b, y, group).map((part, g) => {
      const isShort = shared.only.has(group[g]?.result.id ?? "");
      return at && routing && !isShort ? scattered(b, part, at, routing) : part;
    });
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
  b.define(shared.only.has(result.id) ? shortOf(result, shared) : result);
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
  const { taken, short } = shared;
  const [input, routing] = op.operands as readonly [Value, Value?];
  const key = [input.id, routing?.id, op.attrs["expert"]].join(" ");
  const known = taken.get(key);
  if (known) return known;
  const given = short.get(input.id) ?? input;
  const { type } = given;
  const float = { shape: type.shape };
  const x = type.elem === "f32" ? given : b.op("Cast", [given], float, { to: FLOAT });
  const shape = input.type.shape.slice(0, -1);
  const at = routing && shared.chosen.get(expertOf(op));
  const found = { x, vectors: { shape, ...(at ? { at } : {}) }, isChosen: given !== input };
  taken.set(key, found);
  return found;
}

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
  const levels = levelsOf(b, taken, strip, target, shared);
  const counts = new AnalogArray(b, levels, strip, taken.vectors, how).counts();
  const out = b.op("Mul", [counts, chip.part(b, strip, "scales")], counts.type);
  return levels.range ? b.op("Mul", [out, levels.range], counts.type) : out;
}

/** The rows of x that a strip takes, behind their converters. */
function levelsOf(b: Builder, taken: Taken, strip: Strip, target: Target, shared: Shared): Forms {
  const [from, to] = strip.rows;
  const { inputRange } = strip.tiles[0].block;
  const { at } = taken.vectors;
  const known = (x: Value, chosen: Value | undefined, make: (x: Value) => Forms): Forms => {
    const key = [x.id, chosen?.id, from, to, inputRange].join(" ");
    const levels = shared.levels.get(key) ?? make(x);
    shared.levels.set(key, levels);
    return levels;
  };
  const shape = [...taken.x.type.shape.slice(0, -1), to - from];
  const isAll = taken.x.type.shape.at(-1) === to - from;
  const bounds = (n: number) => b.ints([n]);
  const rows = (x: Value) =>
    isAll ? x : b.op("Slice", [x, bounds(from), bounds(to), bounds(-1)], { shape });
  const all = () => known(taken.x, undefined, (x) => new Levels(b, rows(x), inputRange, target));
  if (!at || taken.isChosen) return all();
  // What several experts take is converted once.
  return known(taken.x, at, () => new ChosenLevels(b, all(), at));
}
