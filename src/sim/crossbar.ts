/**
 * One matrix-vector product on the tiles of a weight, in the terms of Rasch et al., Nature Communications
 * 14:5282 (2023): y = alpha gamma ADC(F(DAC(x / alpha))). Formulas and sources: docs/numerics.md, section
 * "Products".
 *
 * F subtracts the IR drop, adds short-term read noise, bends the sum if the target says so, and adds the output
 * noise of the converter. Vectors go through a block up to ROWS_AT_ONCE at a time.
 */

import type { MappedWeight } from "../artifact/mapping.ts";
import type { Analog } from "../target/device.ts";
import type { Target } from "../target/schema.ts";
import { Wasm } from "../wasm/module.ts";
import type { Artifact } from "./load.ts";
import { gaussianAt, PURPOSE, streamOf } from "./noise-address.ts";
import { type PlacedTile, ROWS_AT_ONCE, type Tiles } from "./tile-memory.ts";

/** Vectors that go through a weight: row-major x[rows.length, weight.rows]. */
export interface Launch {
  readonly x: Float32Array;
  /** Number of each vector within its inference, the address of its noise. */
  readonly rows: readonly number[];
  readonly inference: number;
}

/** Times that inputs are halved before a vector that still clips is taken as it is: AIHWKIT's factor of 1000. */
const MOST_RETRIES = 10;

/** Tiles of one thread: the memories are shared, the places to work in are not. */
export class Crossbars {
  private readonly banks: readonly Wasm[];
  private readonly target: Target;
  private readonly seed: number;
  private readonly tiles: Tiles;

  /** `thread` counts from 0 and chooses the place to work in. */
  constructor({ target }: Artifact, seed: number, tiles: Tiles, thread: number) {
    this.target = target;
    this.seed = seed >>> 0;
    this.tiles = tiles;
    this.banks = tiles.banks.map((b) => new Wasm(b.memory, b.end + thread * tiles.workBytes));
  }

  /**
   * Partial sums [R, rows.length, weight.cols], one slab per group of blocks that share their rows, in the
   * order of the rows.
   */
  run(weight: MappedWeight, launch: Launch): Float32Array {
    const starts = rowStarts(weight);
    const count = launch.rows.length;
    const out = new Float32Array(starts.length * count * weight.cols);
    for (const tile of this.tiles.of(weight)) {
      const slab = starts.indexOf(tile.block.rows[0]) * count;
      for (let first = 0; first < count; first += ROWS_AT_ONCE) {
        const part = partOf(launch, first, weight.rows);
        const at = (slab + first) * weight.cols;
        const to = out.subarray(at, at + part.rows.length * weight.cols);
        const wasm = this.banks[tile.bank] as Wasm;
        new Conversion(wasm, this.target, this.seed, tile).run(weight, part, to);
      }
    }
    return out;
  }
}

const partOf = ({ x, rows, inference }: Launch, first: number, width: number): Launch => {
  const part = rows.slice(first, first + ROWS_AT_ONCE);
  const from = first * width;
  return { x: x.subarray(from, from + part.length * width), rows: part, inference };
};

const stepOf = (bound: number, bits: number): number => bound / (2 ** (bits - 1) - 1);

/** Areas of results, in the order of their use. */
const RESULTS = ["y", "load", "power", "far", "z", "minus"] as const;
/** Areas of inputs: as given, converted, their sizes and their squares. */
const INPUTS = ["raw", "x", "size", "square"] as const;

type Places = Readonly<
  Record<(typeof RESULTS)[number] | (typeof INPUTS)[number] | "panel" | "alpha" | "bend", number>
>;

/** Some vectors through one tile. */
class Conversion {
  private readonly wasm: Wasm;
  private readonly target: Target;
  private readonly seed: number;
  private readonly tile: PlacedTile;

  constructor(wasm: Wasm, target: Target, seed: number, tile: PlacedTile) {
    this.wasm = wasm;
    this.target = target;
    this.seed = seed;
    this.tile = tile;
  }

  run(weight: MappedWeight, launch: Launch, out: Float32Array): void {
    const { wasm, tile } = this;
    const count = launch.rows.length;
    const at = this.places(count);
    const { rows, cols, width, block, weights } = tile;
    gather(launch.x, weight.rows, block.rows[0], wasm.view(at.raw, count * rows), rows, count);
    if (this.tile.mode === "ideal") {
      wasm.call.matmul(at.raw, weights, at.y, count, rows, width, 8, 8 * rows);
    } else this.convert(at, launch);
    const result = wasm.view(at.y, count * width);
    for (let i = 0; i < count; i++) {
      const from = i * width;
      out.set(result.subarray(from, from + cols), i * weight.cols + block.cols[0]);
    }
  }

  private places(count: number): Places {
    const { rows, width } = this.tile;
    const names = [...RESULTS, ...INPUTS, "panel", "alpha", "bend"];
    const sizes = names.map((name, i) => {
      if (i < RESULTS.length) return count * width;
      if (i < RESULTS.length + INPUTS.length) return count * rows;
      return { panel: 8 * rows, alpha: count, bend: width }[name] ?? 0;
    });
    const at = this.wasm.scratch(sizes);
    return Object.fromEntries(names.map((name, i) => [name, at[i]])) as Places;
  }

  /** DAC, array, ADC and affine stage. */
  private convert(at: Places, launch: Launch): void {
    const { call } = this.wasm;
    const { rows, width, scales, block } = this.tile;
    const count = launch.rows.length;
    if (this.target.tile.dac.range === "abs-max") call.ranges(at.raw, at.alpha, count, rows);
    else this.wasm.view(at.alpha, count).fill(block.inputRange);
    this.currents(at, launch, 0);
    if (this.target.tile.adc.whenClipped === "retry") this.retry(at, launch);
    this.digitise(at, count * width);
    call.affine(at.y, scales, at.alpha, count, width);
  }

  /** What reaches the converters: y, and with two counters y and minus. */
  private currents(at: Places, launch: Launch, attempt: number): void {
    const { bits, bound } = this.target.tile.dac;
    const { rows, width, weights } = this.tile;
    const { call } = this.wasm;
    const count = launch.rows.length;
    call.dac(at.raw, at.x, at.alpha, count, rows, bound.value, stepOf(bound.value, bits.value));
    call.matmul(at.x, weights, at.y, count, rows, width, 8, 8 * rows);
    this.sums(at, count);
    if (this.tile.mode === "noisy") this.disturb(at, launch, attempt);
    if (this.target.tile.adc.scheme === "two-counter") this.splitCurrents(at, launch, attempt);
  }

  /** Vectors with a clipped result are read again with their inputs halved, each for itself. */
  private retry(at: Places, launch: Launch): void {
    const { rows, width } = this.tile;
    for (const [i, row] of launch.rows.entries()) {
      const one = rowOf(at, i, rows, width);
      const alpha = this.wasm.view(one.alpha, 1);
      for (let attempt = 1; attempt <= MOST_RETRIES && this.clips(one); attempt++) {
        alpha[0] = 2 * (alpha[0] as number);
        this.currents(one, { ...launch, rows: [row] }, attempt);
      }
    }
  }

  private clips({ y, minus }: Places): boolean {
    const { width, block } = this.tile;
    const beyond = (at: number) =>
      this.wasm.call.clipped(at, width, -block.adcBound, block.adcBound) > 0;
    return beyond(y) || (this.target.tile.adc.scheme === "two-counter" && beyond(minus));
  }

  /** The further sums that noise and counters depend on. */
  private sums(at: Places, count: number): void {
    const { analog, tile } = this.target;
    const { rows, width, weights, distance } = this.tile;
    const noisy = this.tile.mode === "noisy";
    const drops = noisy && analog.irDrop.scale.value > 0;
    const load = drops || tile.adc.scheme === "two-counter" ? at.load : 0;
    const power = noisy && analog.readNoise.value > 0 ? at.power : 0;
    const far = drops ? at.far : 0;
    if (load + power + far === 0) return;
    const scratch = [at.size, at.square, at.panel] as const;
    const { call } = this.wasm;
    call.crossbarSums(
      ...[at.x, weights, distance, load, power, far, ...scratch, count, rows, width],
    );
  }

  private disturb(at: Places, launch: Launch, attempt: number): void {
    const { irDrop, readNoise, outputNoise, sShape } = this.target.analog;
    const { rows, width } = this.tile;
    const { call } = this.wasm;
    const area = launch.rows.length * width;
    if (irDrop.scale.value > 0) {
      const irLoad = irDrop.wireOhm.value * irDrop.gMaxSiemens.value * rows;
      call.irDrop(at.y, at.load, at.far, area, irLoad, irDrop.scale.value);
    }
    // Two counters read the sum each with noise of its own, so theirs is added when they are told apart.
    const apart = this.target.tile.adc.scheme === "two-counter" || sShape !== undefined;
    const read = readNoise.value;
    if (read > 0 || !apart) {
      this.draw(at.z, launch, apart ? PURPOSE.read : PURPOSE.conversion, attempt);
      if (read > 0) {
        call.addNoise(at.y, at.power, at.z, area, apart ? 0 : outputNoise.value, read);
      } else call.addScaled(at.y, at.z, area, outputNoise.value);
    }
    if (sShape) this.bend(at, launch.rows.length);
    if (sShape && this.target.tile.adc.scheme === "symmetric") {
      this.draw(at.z, launch, PURPOSE.conversion, attempt);
      call.addScaled(at.y, at.z, area, outputNoise.value);
    }
  }

  /** The S-shaped transfer of each column. */
  private bend(at: Places, count: number): void {
    const { sShape } = this.target.analog;
    if (!sShape) return;
    const { cols, width, number } = this.tile;
    const zeta = this.wasm.view(at.bend, width).fill(0);
    zeta.set(bends(sShape, cols, this.seed, number));
    this.wasm.call.sShape(at.y, at.bend, count, width);
  }

  /** The positive and the negative current, each with the noise of its own counter. */
  private splitCurrents(at: Places, launch: Launch, attempt: number): void {
    const { call } = this.wasm;
    const area = launch.rows.length * this.tile.width;
    call.split(at.y, at.load, at.y, at.minus, area);
    if (this.tile.mode !== "noisy") return;
    const sigma = this.target.analog.outputNoise.value;
    this.draw(at.z, launch, PURPOSE.conversion, attempt);
    call.addScaled(at.y, at.z, area, sigma);
    this.draw(at.z, launch, PURPOSE.secondCounter, attempt);
    call.addScaled(at.minus, at.z, area, sigma);
  }

  private digitise(at: Places, area: number): void {
    const { call } = this.wasm;
    const { bits, scheme } = this.target.tile.adc;
    const bound = this.tile.block.adcBound;
    if (scheme === "symmetric") {
      call.adc(at.y, area, -bound, bound, stepOf(bound, bits.value));
      return;
    }
    const step = bound / (2 ** bits.value - 1);
    call.adc(at.y, area, 0, bound, step);
    call.adc(at.minus, area, 0, bound, step);
    call.subtract(at.y, at.minus, area);
  }

  /** One gaussian for each vector and column. */
  private draw(to: number, launch: Launch, purpose: number, attempt: number): void {
    const { width, number } = this.tile;
    const stream = streamOf(purpose, 0, 0, attempt);
    for (const [i, row] of launch.rows.entries()) {
      const at = to + i * width * 4;
      this.wasm.call.gaussians(at, 0, width, this.seed, stream, row, launch.inference, number);
    }
  }
}

/** The same areas from vector i on. */
function rowOf(at: Places, i: number, rows: number, width: number): Places {
  const moved = (names: readonly (keyof Places)[], step: number) =>
    names.map((name) => [name, at[name] + i * step * 4]);
  return {
    ...at,
    ...Object.fromEntries([
      ...moved(RESULTS, width),
      ...moved(INPUTS, rows),
      ...moved(["alpha"], 1),
    ]),
  };
}

/** zeta of each column of a block, drawn once a chip. */
export const bends = (
  { mean, deviation }: NonNullable<Analog["sShape"]>,
  cols: number,
  seed: number,
  block: number,
): Float32Array =>
  Float32Array.from({ length: cols }, (_, element) => {
    const address = { seed, stream: streamOf(PURPOSE.bend), row: 0, inference: 0, block };
    return Math.abs(mean.value + deviation.value * gaussianAt(element, address));
  });

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
