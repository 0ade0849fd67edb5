/**
 * What is in the crossbars: the weights of every block as the devices hold them at time t, under one
 * seed. Model: Rasch et al., Nature Communications 14:5282 (2023), with the constants of the target; the
 * order of effects follows AIHWKIT's noise/pcm.py (commit 4545f11).
 *
 * With x = |w| / gamma = g / g_max for a device of the differential pair (the other one's target is 0):
 * - programming: g_P = max(0, g_T + sigma_P(x) xi);
 * - drift: g_D = g_P ((t + t0) / t0)^-nu, nu = |N(mean(x), deviation(x))|;
 * - 1/f noise until t: g = max(0, g_D (1 + Q(g_P / g_max) sqrt(ln((t + t0 + t_r) / (2 t_r))) xi));
 * - global drift compensation: the digital scale of a tile grows by the ratio of its mean absolute
 *   response to one-hot inputs after programming to that at t. Its converters are left out of that
 *   measurement.
 */

import { type Block, blocksOf, type MappedWeight } from "../artifact/mapping.ts";
import { evaluateCurve } from "../target/noise-curve.ts";
import type { Curve, Target } from "../target/schema.ts";
import { type BlockScales, realNumbers } from "../tensor/block-scales.ts";
import { toF32 } from "../tensor/convert.ts";
import type { Tensor, TensorData } from "../tensor/tensor.ts";
import { Wasm } from "../wasm/module.ts";
import type { Artifact } from "./load.ts";
import { NEGATIVE, PURPOSE } from "./noise-address.ts";

export const MODES = ["ideal", "quantized", "noisy"] as const;
export type Mode = (typeof MODES)[number];

export interface Programming {
  readonly mode: Mode;
  readonly seed: number;
  /** Since the end of programming. */
  readonly timeSeconds: number;
}

/** A block ready to run. Memory is shared between threads. */
export interface TileState {
  /** Row-major [rows, cols]: the file's weights in `ideal`, normalised ones otherwise. */
  readonly weights: Float32Array;
  /** Per column: what a normalised result is multiplied with after the ADC; empty in `ideal`. */
  readonly scales: Float32Array;
}

/** Smallest response that compensation divides by, as in AIHWKIT. */
const LEAST_RESPONSE = 1e-4;

/** Shared between threads and aligned for f32. */
const shared = (count: number): Float32Array => new Float32Array(new SharedArrayBuffer(count * 4));

/** All blocks of all weights, in the order of mapping.json: position is the block's number for noise. */
export function programTiles(artifact: Artifact, how: Programming): TileState[] {
  const wasm = new Wasm();
  const states: TileState[] = [];
  for (const weight of artifact.mapping.weights) {
    const values = artifact.tiles.get(weight.values) as Tensor;
    // Read once for all blocks: what the file holds is not kept.
    const whole = { ...values, data: values.data };
    const gamma = toF32(artifact.tiles.get(weight.scales) as Tensor);
    const scales = scalesOf(artifact, weight);
    for (const block of blocksOf(weight)) {
      states.push(
        programBlock(artifact, how, block, { whole, scales, gamma, wasm, number: states.length }),
      );
    }
  }
  return states;
}

interface Programmed {
  /** Values of the weight, block after block. */
  readonly whole: Tensor;
  /** What makes them real where they are quantised by blocks. */
  readonly scales: Scaling | null;
  /** gamma of the weight's columns, row of blocks after row of blocks. */
  readonly gamma: Float32Array;
  readonly wasm: Wasm;
  /** Number of the block for noise. */
  readonly number: number;
}

function programBlock(
  { target }: Artifact,
  how: Programming,
  block: Block,
  { whole, scales, gamma: all, wasm, number }: Programmed,
): TileState {
  const [rows, cols] = [block.rows[1] - block.rows[0], block.cols[1] - block.cols[0]];
  const data = whole.data.subarray(block.firstValue, block.firstValue + rows * cols);
  const values = scales
    ? scales.real(data, block)
    : toF32({ elem: whole.elem, shape: [rows, cols], data });
  if (how.mode === "ideal") return { weights: copied(values), scales: shared(0) };
  const gamma = all.subarray(block.firstScale, block.firstScale + cols);
  const weights = normalised(values, gamma, target.tile.levels?.value);
  if (how.mode === "quantized") return { weights, scales: columnScales(block, gamma, 1) };
  const gain = disturbWeights(weights, target, how, number, wasm);
  return { weights, scales: columnScales(block, gamma, gain) };
}

interface Scaling {
  real(codes: TensorData, block: Block): Float32Array;
}

function scalesOf({ tiles }: Artifact, { quantised, cols }: MappedWeight): Scaling | null {
  if (!quantised) return null;
  const held = (name: string) => toF32(tiles.get(name) as Tensor);
  const { block, scales, zeros } = quantised;
  const all: BlockScales = {
    block,
    axis: 0,
    scales: held(scales),
    zeros: zeros === undefined ? null : held(zeros),
  };
  return {
    real: (codes, { rows: [firstRow], cols: [firstColumn, end] }) =>
      realNumbers(codes, all, {
        firstRow,
        firstColumn,
        columns: end - firstColumn,
        allColumns: cols,
      }),
  };
}

function copied(values: Float32Array): Float32Array {
  const out = shared(values.length);
  out.set(values);
  return out;
}

/** w / gamma of the column, in [-1, 1]; with levels, on a grid of that many steps a polarity. */
function normalised(
  values: Float32Array,
  gamma: Float32Array,
  levels: number | undefined,
): Float32Array {
  const cols = gamma.length;
  const out = shared(values.length);
  for (let i = 0; i < values.length; i++) {
    const w = (values[i] as number) / (gamma[i % cols] as number);
    out[i] = levels === undefined ? w : Math.round(w * levels) / levels;
  }
  return out;
}

function columnScales(block: Block, gamma: Float32Array, gain: number): Float32Array {
  const out = shared(gamma.length);
  for (let j = 0; j < gamma.length; j++) out[j] = block.inputRange * (gamma[j] as number) * gain;
  return out;
}

/** Replaces the weights by what the devices hold at time t; gives the compensation's gain. */
export function disturbWeights(
  weights: Float32Array,
  target: Target,
  how: Programming,
  block: number,
  wasm: Wasm,
): number {
  const device = deviceModel(target, how.timeSeconds);
  const draws = [0, NEGATIVE].map((side) => ({
    programming: draw(wasm, weights.length, how.seed, PURPOSE.programming + side, block),
    drift: draw(wasm, weights.length, how.seed, PURPOSE.driftExponent + side, block),
    flicker: draw(wasm, weights.length, how.seed, PURPOSE.flicker + side, block),
  }));
  const both = target.noise.pair === "both";
  let before = 0;
  let after = 0;
  for (let i = 0; i < weights.length; i++) {
    const w = weights[i] as number;
    let programmed = 0;
    let now = 0;
    for (let side = 0; side < 2; side++) {
      const sign = side === 0 ? 1 : -1;
      // An idle device takes no part in the `active` model; a zero weight then sits on the positive one.
      if (!both && (side === 0 ? w < 0 : w >= 0)) continue;
      const z = draws[side] as (typeof draws)[number];
      const at = device.program(Math.max(0, sign * w), z.programming[i] as number);
      programmed += sign * at;
      now +=
        sign * device.age(Math.max(0, sign * w), at, z.drift[i] as number, z.flicker[i] as number);
    }
    before += Math.abs(programmed);
    after += Math.abs(now);
    weights[i] = now;
  }
  if (!target.noise.driftCompensation) return 1;
  return before / Math.max(after, LEAST_RESPONSE * weights.length);
}

function draw(
  wasm: Wasm,
  count: number,
  seed: number,
  purpose: number,
  block: number,
): Float32Array {
  const room = Math.ceil(count / 16) * 16;
  const [at = 0] = wasm.scratch([room]);
  wasm.call.gaussians(at, room, seed, purpose, 0, 0, block);
  return wasm.view(at, count).slice();
}

interface Device {
  /** Conductance after programming to x, both in units of g_max. */
  program(x: number, z: number): number;
  /** Conductance at the time of the model. */
  age(x: number, programmed: number, zDrift: number, zFlicker: number): number;
}

function deviceModel({ noise, tile }: Target, timeSeconds: number): Device {
  const t0 = noise.drift.t0Seconds.value;
  const tRead = noise.read.tReadSeconds.value;
  const total = timeSeconds + t0;
  const logTime = Math.log(total / t0);
  const flicker = Math.sqrt(Math.log((total + tRead) / (2 * tRead)));
  const sigma = atZero(noise.programming);
  const mean = atZero(noise.drift.mean);
  const deviation = atZero(noise.drift.deviation);
  const gMax = tile.gMaxMicrosiemens.value;
  return {
    program: (x, z) => Math.max(0, x + (sigma(x) / gMax) * z),
    age: (x, programmed, zDrift, zFlicker) => {
      const nu = Math.abs(mean(x) + deviation(x) * zDrift);
      const drifted = programmed * Math.exp(-nu * logTime);
      const q = programmed > 0 ? evaluateCurve(noise.read.q, programmed) : 0;
      return Math.max(0, drifted * (1 + q * flicker * zFlicker));
    },
  };
}

/** The curve, its value at 0 remembered: half of all devices have the target 0. */
function atZero(curve: Curve): (x: number) => number {
  const zero = evaluateCurve(curve, 0);
  return (x) => (x === 0 ? zero : evaluateCurve(curve, x));
}
