/**
 * The analog tiles in ordinary ONNX operators: each block's converters, weights and noise as Clip, Round,
 * MatMul and RandomNormalLike nodes, so that the lowered model runs wherever ONNX does.
 *
 * The arithmetic is that of Rasch et al., Nature Communications 14:5282 (2023):
 * y = range * gamma * ADC(F(DAC(x / range))). Programming noise and drift are in the weights already.
 */

import { type Block, blocksOf, type MappedWeight } from "../artifact/mapping.ts";
import { intAttr } from "../ir/attrs.ts";
import { wrappedOp } from "../ir/dialects/program.ts";
import type { Module, Op, Value } from "../ir/op.ts";
import { freshNames } from "../ir/rewrite.ts";
import { codeOf } from "../onnx/elem.ts";
import type { Artifact } from "../sim/load.ts";
import { type Mode, programTiles, type TileState } from "../sim/program-tiles.ts";
import type { Target } from "../target/schema.ts";
import type { Dim } from "../tensor/tensor.ts";
import { Builder } from "./builder.ts";

/** Nodes of this name become RandomNormalLike when the model is written: the IR itself is deterministic. */
export const NOISE = "analog-noise";

export interface Lowering {
  readonly mode: Exclude<Mode, "ideal">;
  readonly seed: number;
  readonly timeSeconds: number;
}

/** Replaces every grid of tiles of an aimc or program module by what its tiles compute. */
export function lowerTiles(module: Module, artifact: Artifact, how: Lowering): Module {
  const states = programTiles(artifact, how);
  const grids = new Map<string, Grid>();
  let number = 0;
  for (const weight of artifact.mapping.weights) {
    const blocks = blocksOf(weight).map((block) => ({
      block,
      state: states[number++] as TileState,
    }));
    grids.set(weight.name, { weight, blocks });
  }
  const fresh = freshNames(module);
  const ops = module.ops.flatMap((step) => {
    if (step.kind === "program.receive") return [];
    const op = step.kind.startsWith("program.") ? (wrappedOp(step) ?? step) : step;
    if (op.kind !== "aimc.mvm") return [op];
    const grid = grids.get(mappedName(op));
    if (!grid) throw new Error(`the artifact maps no weight ${mappedName(op)}`);
    return lowerGrid(op, grid, artifact.target, how, fresh);
  });
  return { ...module, level: "aimc", ops };
}

interface Grid {
  readonly weight: MappedWeight;
  readonly blocks: readonly { readonly block: Block; readonly state: TileState }[];
}

function mappedName(op: Op): string {
  const weight = op.attrs["weight"];
  const slice = op.attrs["slice"];
  const name = typeof weight === "object" && "weight" in weight ? String(weight["weight"]) : "";
  return typeof slice === "number" ? `${name}#${slice}` : name;
}

function lowerGrid(
  op: Op,
  { weight, blocks }: Grid,
  target: Target,
  how: Lowering,
  fresh: (base: string) => string,
): readonly Op[] {
  const [input, routing] = op.operands;
  const [result] = op.results;
  if (!input || !result) throw new Error("a grid has an input and a result");
  const b = new Builder(op, fresh);
  const leading = input.type.shape.slice(0, -1);
  const x = input.type.elem === "f32" ? input : b.op("Cast", [input], input.type, { to: 1 });
  const starts = [...new Set(blocks.map(({ block }) => block.rows[0]))];
  const partials = starts.map((start) => {
    const row = blocks.filter(({ block }) => block.rows[0] === start);
    const first = row[0]?.block as Block;
    const dac = inputsOf(b, x, leading, first, target);
    const parts = row.map(({ block, state }) =>
      productOf(b, dac, leading, block, state, target, how),
    );
    return joined(b, parts, [...leading, weight.cols], -1);
  });
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

/** DAC: the block's rows of x over their range, clipped and rounded. */
function inputsOf(b: Builder, x: Value, leading: readonly Dim[], block: Block, t: Target): Value {
  const [from, to] = block.rows;
  const type = { shape: [...leading, to - from] };
  const rows = b.op("Slice", [x, b.ints([from]), b.ints([to]), b.ints([-1])], type);
  const scaled = b.op("Div", [rows, b.float(block.inputRange)], type);
  return converted(b, scaled, t.tile.dac.bound.value, t.tile.dac.bits.value);
}

/** Clips to +-bound and rounds to 2^bits - 1 values, zero included. */
function converted(b: Builder, x: Value, bound: number, bits: number): Value {
  const step = b.float(bound / (2 ** (bits - 1) - 1));
  const clipped = b.op("Clip", [x, b.float(-bound), b.float(bound)], x.type);
  const level = b.op("Round", [b.op("Div", [clipped, step], x.type)], x.type);
  return b.op("Mul", [level, step], x.type);
}

function productOf(
  b: Builder,
  x: Value,
  leading: readonly Dim[],
  block: Block,
  state: TileState,
  target: Target,
  how: Lowering,
): Value {
  const size = [block.rows[1] - block.rows[0], block.cols[1] - block.cols[0]] as const;
  const type = { shape: [...leading, size[1]] };
  const weights = Float32Array.from(state.weights);
  let y = b.op("MatMul", [x, b.floats(size, weights)], type);
  if (how.mode === "noisy") y = disturbed(b, x, y, weights, size, target, how);
  const out = converted(b, y, block.adcBound, target.tile.adc.bits.value);
  return b.op("Mul", [out, b.floats([size[1]], Float32Array.from(state.scales))], type);
}

/**
 * Minus the IR drop, plus output noise and short-term read noise. With n rows, a = wireOhm gMax n |x||w|,
 * c = 0.05 a^3 - 0.2 a^2 + 0.5 a, the drop is scale c sum w x (1 - (1 - j/n)^2).
 */
function disturbed(
  b: Builder,
  x: Value,
  dot: Value,
  weights: Float32Array,
  [rows, cols]: readonly [number, number],
  { noise }: Target,
  how: Lowering,
): Value {
  const { type } = dot;
  const sizes = b.floats([rows, cols], weights.map(Math.abs));
  const { irDrop, read, output } = noise;
  const size = b.op("Abs", [x], x.type);
  const load = b.op("MatMul", [size, sizes], type);
  const irLoad = irDrop.wireOhm.value * irDrop.gMaxSiemens.value * rows;
  const a = b.op("Mul", [load, b.float(irLoad)], type);
  // Horner's scheme of c.
  const cubic = b.op("Add", [b.op("Mul", [a, b.float(0.05)], type), b.float(-0.2)], type);
  const square = b.op("Add", [b.op("Mul", [cubic, a], type), b.float(0.5)], type);
  const c = b.op("Mul", [square, a], type);
  const distance = Float32Array.from({ length: rows }, (_, j) => 1 - (1 - j / rows) ** 2);
  const far = weights.map((w, i) => w * (distance[Math.floor(i / cols)] as number));
  const lost = b.op("MatMul", [x, b.floats([rows, cols], far)], type);
  const scaled = b.op("Mul", [b.op("Mul", [c, lost], type), b.float(irDrop.scale.value)], type);
  const dropped = b.op("Sub", [dot, scaled], type);
  const power = b.op("MatMul", [b.op("Mul", [x, x], x.type), sizes], type);
  const variance = b.op(
    "Add",
    [b.op("Mul", [power, b.float(read.shortTerm.value ** 2)], type), b.float(output.value ** 2)],
    type,
  );
  const sigma = b.op("Sqrt", [variance], type);
  const z = b.op("Identity", [dot], type, {}, [`${NOISE}/${how.seed}/${b.ops.length}`]);
  return b.op("Add", [dropped, b.op("Mul", [sigma, z], type)], type);
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
