/**
 * One matrix-vector product on the tiles of a weight, in the terms of Rasch et al., Nature Communications
 * 14:5282 (2023): y = range * gamma * ADC(F(DAC(x / range))).
 *
 * The DAC clips to its bound and rounds to a grid of 2^bits - 1 values, zero included; the ADC likewise.
 * F adds, before the ADC, output noise of sigma_out and short-term read noise sigma sqrt(sum |w| x^2), one
 * gaussian for both, and subtracts the IR drop: with n rows, a = wireOhm gMax n sum |w| |x| and
 * c = 0.05 a^3 - 0.2 a^2 + 0.5 a, it is scale c sum w x (1 - (1 - j/n)^2); row 0 is farthest from the ADC.
 */

import { type Block, blocksOf, type MappedWeight } from "../artifact/mapping.ts";
import type { Target } from "../target/schema.ts";
import { Wasm } from "../wasm/module.ts";
import type { Artifact } from "./load.ts";
import { PURPOSE } from "./noise-address.ts";
import type { Mode, TileState } from "./program-tiles.ts";

/** Vectors that go through a weight: row-major x[rows.length, weight.rows]. */
export interface Launch {
  readonly x: Float32Array;
  /** Number of each vector within its inference, the address of its noise. */
  readonly rows: readonly number[];
  readonly inference: number;
}

interface Placed {
  readonly block: Block;
  /** Number for noise: the position over all blocks of mapping.json. */
  readonly number: number;
  /** Byte addresses of the weights in panels of 8 columns, and of the columns' scales. */
  readonly weights: number;
  readonly scales: number;
  readonly distance: number;
  readonly rows: number;
  readonly cols: number;
  /** Columns rounded up to whole panels. */
  readonly width: number;
}

const up = (count: number, to: number): number => Math.ceil(count / to) * to;

const stepOf = (bound: number, bits: number): number => bound / (2 ** (bits - 1) - 1);

/** All tiles of the machine, programmed. */
export class Crossbars {
  private readonly wasm = new Wasm();
  private readonly target: Target;
  private readonly mode: Mode;
  private readonly seed: number;
  private readonly placed = new Map<string, readonly Placed[]>();

  constructor(artifact: Artifact, mode: Mode, seed: number, states: readonly TileState[]) {
    this.target = artifact.target;
    this.mode = mode;
    this.seed = seed >>> 0;
    let number = 0;
    for (const weight of artifact.mapping.weights) {
      const blocks = blocksOf(weight).map((block) => {
        const state = states[number] as TileState;
        return this.place(block, number++, state);
      });
      this.placed.set(weight.name, blocks);
    }
  }

  /**
   * Partial sums [R, rows.length, weight.cols], one slab per group of blocks that share their rows, in the
   * order of the rows.
   */
  run(weight: MappedWeight, launch: Launch): Float32Array {
    const placed = this.placed.get(weight.name) as readonly Placed[];
    const starts = rowStarts(weight);
    const count = launch.rows.length;
    const out = new Float32Array(starts.length * count * weight.cols);
    for (const p of placed) {
      const slab = starts.indexOf(p.block.rows[0]) * count * weight.cols;
      this.runBlock(p, weight, launch, out.subarray(slab, slab + count * weight.cols));
    }
    return out;
  }

  private runBlock(p: Placed, weight: MappedWeight, launch: Launch, out: Float32Array): void {
    const { wasm, mode } = this;
    const count = launch.rows.length;
    const area = count * p.width;
    const places = wasm.scratch([
      count * p.rows,
      area,
      ...(mode === "noisy" ? [area, area, area, area] : []),
    ]);
    const [x = 0, y = 0] = places;
    gather(launch.x, weight.rows, p.block.rows[0], wasm.view(x, count * p.rows), p.rows, count);
    if (mode !== "ideal") this.convertInputs(x, up(count * p.rows, 4), p.block);
    if (mode === "noisy") this.noisySums(p, launch, places, count);
    else wasm.call.matmul(x, p.weights, y, count, p.rows, p.width, 8, 8 * p.rows);
    if (mode !== "ideal") this.convertResults(y, p, count);
    const result = wasm.view(y, count * p.width);
    for (let i = 0; i < count; i++) {
      const at = i * p.width;
      out.set(result.subarray(at, at + p.cols), i * weight.cols + p.block.cols[0]);
    }
  }

  private convertInputs(x: number, count: number, { inputRange }: Block): void {
    const { bits, bound } = this.target.tile.dac;
    this.wasm.call.dac(x, count, inputRange, bound.value, stepOf(bound.value, bits.value));
  }

  private convertResults(y: number, p: Placed, count: number): void {
    const step = stepOf(p.block.adcBound, this.target.tile.adc.bits.value);
    this.wasm.call.adc(y, p.scales, count, p.width, p.block.adcBound, step);
  }

  private noisySums(
    p: Placed,
    launch: Launch,
    [x = 0, y = 0, power = 0, load = 0, far = 0, z = 0]: readonly number[],
    count: number,
  ): void {
    const { call } = this.wasm;
    const { noise } = this.target;
    call.crossbarSums(x, p.weights, p.distance, y, power, load, far, count, p.rows, p.width);
    for (const [i, row] of launch.rows.entries()) {
      const at = z + i * p.width * 4;
      call.gaussians(at, p.width, this.seed, PURPOSE.conversion, row, launch.inference, p.number);
    }
    const irLoad = noise.irDrop.wireOhm.value * noise.irDrop.gMaxSiemens.value * p.rows;
    const { output, read, irDrop } = noise;
    const area = count * p.width;
    const sigmas = [output.value, read.shortTerm.value] as const;
    call.disturb(y, power, load, far, z, area, irLoad, irDrop.scale.value, ...sigmas);
  }

  private place(block: Block, number: number, state: TileState): Placed {
    const rows = block.rows[1] - block.rows[0];
    const cols = block.cols[1] - block.cols[0];
    // Sixteen columns: a whole group of random words.
    const width = up(cols, 16);
    const weights = this.wasm.reserve(rows * width);
    const scales = this.wasm.reserve(width);
    const distance = this.wasm.reserve(rows);
    pack(state.weights, this.wasm.view(weights, rows * width), rows, cols);
    this.wasm.view(scales, width).set(state.scales);
    const far = this.wasm.view(distance, rows);
    for (let j = 0; j < rows; j++) far[j] = 1 - (1 - j / rows) ** 2;
    return { block, number, weights, scales, distance, rows, cols, width };
  }
}

/** First rows of the groups of blocks that share their rows, ascending. */
export const rowStarts = (weight: MappedWeight): number[] => weight.rowSplits.slice(0, -1);

/** Columns [at, at + width) of `count` rows. */
function gather(
  from: Float32Array,
  step: number,
  at: number,
  to: Float32Array,
  width: number,
  count: number,
): void {
  if (step === width) {
    to.set(from.subarray(0, count * step));
    return;
  }
  for (let i = 0; i < count; i++) {
    to.set(from.subarray(i * step + at, i * step + at + width), i * width);
  }
}

/** Row-major into panels of 8 columns; missing columns are 0. */
function pack(from: Float32Array, to: Float32Array, rows: number, cols: number): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      to[((j >> 3) * rows + i) * 8 + (j & 7)] = from[i * cols + j] as number;
    }
  }
}
