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
import { PURPOSE } from "../sim/noise-address.ts";
import type { Mode } from "../sim/program-tiles.ts";
import type { Target } from "../target/schema.ts";
import type { Dim } from "../tensor/tensor.ts";
import { Builder } from "./builder.ts";
import type { ChipSource, Tile } from "./chip-source.ts";

export type LoweredMode = Exclude<Mode, "ideal">;

interface Lowering {
  readonly mode: LoweredMode;
  readonly target: Target;
  readonly chip: ChipSource;
}

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
  const ops = module.ops.flatMap((step) => {
    if (step.kind === "program.receive") return [];
    const op = step.kind.startsWith("program.") ? (wrappedOp(step) ?? step) : step;
    if (op.kind !== "aimc.mvm") return [op];
    const grid = grids.get(mappedName(op));
    if (!grid) throw new Error(`the artifact maps no weight ${mappedName(op)}`);
    return lowerGrid(op, grid, { mode, target, chip }, fresh);
  });
  return { ...module, level: "aimc", ops, inputs: [...module.inputs, ...chip.inputs] };
}

interface Grid {
  readonly weight: MappedWeight;
  readonly tiles: readonly Tile[];
}

function mappedName(op: Op): string {
  const weight = op.attrs["weight"];
  const slice = op.attrs["slice"];
  const name = typeof weight === "object" && "weight" in weight ? String(weight["weight"]) : "";
  return typeof slice === "number" ? `${name}#${slice}` : name;
}

function lowerGrid(
  op: Op,
  { weight, tiles }: Grid,
  how: Lowering,
  fresh: (base: string) => string,
): readonly Op[] {
  const [input, routing] = op.operands;
  const [result] = op.results;
  if (!input || !result) throw new Error("a grid has an input and a result");
  const b = new Builder(op, fresh);
  const leading = input.type.shape.slice(0, -1);
  const x = input.type.elem === "f32" ? input : b.op("Cast", [input], input.type, { to: 1 });
  const partials = rowStarts(weight).map((start) => {
    const row = tiles.filter(({ block }) => block.rows[0] === start);
    const first = row[0]?.block as Block;
    const given = inputsOf(b, x, leading, first, how.target);
    const parts = row.map((tile) => productOf(b, given, leading, tile, how));
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
  return { x: converted(b, scaled, -bound.value, bound.value, step), alpha };
}

/** The largest |x| of each vector, 1 where all are 0. */
function largestOf(b: Builder, x: Value, shape: readonly Dim[]): Value {
  const largest = b.op("ReduceMax", [b.op("Abs", [x], x.type), b.ints([-1])], { shape });
  const isZero = b.op("Equal", [largest, b.float(0)], { shape, elem: "i1" });
  return b.op("Where", [isZero, b.float(1), largest], { shape });
}

/** Clips to low..high and rounds to multiples of step. */
function converted(b: Builder, x: Value, low: number, high: number, step: number): Value {
  const clipped = b.op("Clip", [x, b.float(low), b.float(high)], x.type);
  const level = b.op("Round", [b.op("Div", [clipped, b.float(step)], x.type)], x.type);
  return b.op("Mul", [level, b.float(step)], x.type);
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
  const out = b.op("Mul", [array.through(dot), how.chip.scales(b, tile)], type);
  return b.op("Mul", [out, given.alpha], type);
}

/** What src/sim/conversion.ts does between the product and the affine stage, in the same order. */
class AnalogArray {
  /** [rows, cols] */
  readonly weights: Value;
  private readonly b: Builder;
  private readonly x: Value;
  private readonly tile: Tile;
  private readonly how: Lowering;
  private readonly target: Target;
  /** sum |w| |x|, and |w|, made when first asked for. */
  private known: Value | undefined;
  private magnitudes: Value | undefined;

  constructor(b: Builder, x: Value, tile: Tile, how: Lowering) {
    this.weights = how.chip.weights(b, tile);
    this.b = b;
    this.x = x;
    this.tile = tile;
    this.how = how;
    this.target = how.target;
  }

  through(dot: Value): Value {
    const { adc } = this.target.tile;
    const noisy = this.how.mode === "noisy";
    const y = noisy ? this.disturbed(dot) : dot;
    const bound = this.tile.block.adcBound;
    if (adc.scheme === "symmetric") {
      return converted(this.b, y, -bound, bound, bound / (2 ** (adc.bits.value - 1) - 1));
    }
    const sigma = noisy ? this.target.analog.outputNoise.value : 0;
    const counted = (sign: "Add" | "Sub", purpose: number) => {
      const both = this.b.op(sign, [this.load(dot), y], dot.type);
      const half = this.b.op("Mul", [both, this.b.float(0.5)], dot.type);
      const current = this.b.op("Relu", [half], dot.type);
      const read = sigma > 0 ? this.plusGaussian(current, this.b.float(sigma), purpose) : current;
      return converted(this.b, read, 0, bound, bound / (2 ** adc.bits.value - 1));
    };
    return this.b.op(
      "Sub",
      [counted("Add", PURPOSE.conversion), counted("Sub", PURPOSE.secondCounter)],
      dot.type,
    );
  }

  /** IR drop, read noise, bend and the output noise of a single converter. */
  private disturbed(dot: Value): Value {
    const { b } = this;
    const { irDrop, readNoise, outputNoise, sShape } = this.target.analog;
    let y = irDrop.scale.value > 0 ? this.dropped(dot) : dot;
    const apart = this.target.tile.adc.scheme === "two-counter" || sShape !== undefined;
    if (readNoise.value > 0 || !apart) {
      const purpose = apart ? PURPOSE.read : PURPOSE.conversion;
      y = this.plusGaussian(y, this.sigma(dot, apart ? 0 : outputNoise.value), purpose);
    }
    if (sShape) y = this.bent(y);
    if (!sShape || this.target.tile.adc.scheme !== "symmetric") return y;
    return this.plusGaussian(y, b.float(outputNoise.value), PURPOSE.conversion);
  }

  /** sqrt(output^2 + read^2 sum |w| x^2). */
  private sigma(dot: Value, output: number): Value {
    const { b, x } = this;
    const read = this.target.analog.readNoise.value;
    if (read === 0) return b.float(output);
    const power = b.op("MatMul", [b.op("Mul", [x, x], x.type), this.sizes()], dot.type);
    const share = b.op("Mul", [power, b.float(read ** 2)], dot.type);
    return b.op("Sqrt", [b.op("Add", [share, b.float(output ** 2)], dot.type)], dot.type);
  }

  /** With n rows and a = wireOhm gMax n |x||w|: minus scale (0.05 a^3 - 0.2 a^2 + 0.5 a) sum w x r. */
  private dropped(dot: Value): Value {
    const { b, x } = this;
    const [from, to] = this.tile.block.rows;
    const rows = to - from;
    const { type } = dot;
    const { irDrop } = this.target.analog;
    const irLoad = irDrop.wireOhm.value * irDrop.gMaxSiemens.value * rows;
    const a = b.op("Mul", [this.load(dot), b.float(irLoad)], type);
    // Horner's scheme.
    const cubic = b.op("Add", [b.op("Mul", [a, b.float(0.05)], type), b.float(-0.2)], type);
    const square = b.op("Add", [b.op("Mul", [cubic, a], type), b.float(0.5)], type);
    const c = b.op("Mul", [square, a], type);
    const distance = Float32Array.from({ length: rows }, (_, j) => 1 - (1 - j / rows) ** 2);
    const far = b.op("Mul", [x, b.floats([rows], distance)], x.type);
    const lost = b.op("MatMul", [far, this.weights], type);
    const scaled = b.op("Mul", [b.op("Mul", [c, lost], type), b.float(irDrop.scale.value)], type);
    return b.op("Sub", [dot, scaled], type);
  }

  /** The S-shaped transfer y / (1 + zeta |y|) of each column. */
  private bent(y: Value): Value {
    const { b } = this;
    const zeta = this.how.chip.bends(b, this.tile);
    const curve = b.op("Mul", [b.op("Abs", [y], y.type), zeta], y.type);
    return b.op("Div", [y, b.op("Add", [curve, b.float(1)], y.type)], y.type);
  }

  private load(dot: Value): Value {
    this.known ??= this.b.op(
      "MatMul",
      [this.b.op("Abs", [this.x], this.x.type), this.sizes()],
      dot.type,
    );
    return this.known;
  }

  private sizes(): Value {
    this.magnitudes ??= this.b.op("Abs", [this.weights], this.weights.type);
    return this.magnitudes;
  }

  private plusGaussian(y: Value, sigma: Value, purpose: number): Value {
    const { b } = this;
    const z = this.how.chip.gaussian(b, y, this.tile, purpose);
    return b.op("Add", [y, b.op("Mul", [sigma, z], y.type)], y.type);
  }
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
