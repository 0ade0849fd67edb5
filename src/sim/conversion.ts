/**
 * Vectors through one tile: converters, sums, noise and the affine stage, by the inner loops. Formulas and sources:
 * docs/numerics.md, section "Products".
 */

import type { MappedWeight } from "../artifact/mapping.ts";
import type { Target } from "../target/schema.ts";
import type { Wasm } from "../wasm/module.ts";
import { bends } from "./bends.ts";
import { addsLevels, mostLevel } from "./level-sums.ts";
import { PURPOSE, streamOf } from "./noise-address.ts";
import type { PlacedTile } from "./tile-memory.ts";

/** Vectors that go through a weight: row-major x[rows.length, weight.rows]. */
export interface Launch {
  readonly x: Float32Array;
  /** Number of each vector within its inference, the address of its noise. */
  readonly rows: readonly number[];
  readonly inference: number;
}

/** Times that inputs are halved before a vector that still clips is taken as it is: AIHWKIT's factor of 1000. */
export const MOST_RETRIES = 10;

const stepOf = (bound: number, bits: number): number => bound / (2 ** (bits - 1) - 1);

/** Byte addresses of what a tile works with. */
interface Places {
  /** Inputs as given, converted, their sizes and their squares; the last two together also hold levels. */
  readonly raw: number;
  readonly x: number;
  readonly size: number;
  readonly square: number;
  readonly alpha: number;
  /** Results, and in `minus` those of the second counter. */
  readonly y: number;
  readonly minus: number;
  /** What results are made of: sums and gaussians. */
  readonly main: number;
  readonly load: number;
  readonly power: number;
  readonly far: number;
  readonly z: number;
  readonly panel: number;
  readonly bend: number;
}

/** Some vectors through one tile. */
export class Conversion {
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

  /** Makes the inputs ready for this tile and all others that take the same ones. */
  take(weight: MappedWeight, launch: Launch): void {
    const { wasm, tile, target } = this;
    const { rows, block } = tile;
    const count = launch.rows.length;
    const at = this.places(count);
    gather(launch.x, weight.rows, block.rows[0], wasm.view(at.raw, count * rows), rows, count);
    if (tile.mode === "ideal") return;
    if (target.tile.dac.range === "abs-max") wasm.call.ranges(at.raw, at.alpha, count, rows);
    else wasm.view(at.alpha, count).fill(block.inputRange);
    this.convert(at, count);
  }

  /** Results of the inputs that were taken; false where these are gone afterwards. */
  run(weight: MappedWeight, launch: Launch, out: Float32Array): boolean {
    const { wasm, tile } = this;
    const { call } = wasm;
    const count = launch.rows.length;
    const at = this.places(count);
    const { rows, cols, width, block, weights, scales } = tile;
    const isRead = tile.mode !== "ideal" && this.target.tile.adc.whenClipped === "retry";
    if (tile.mode === "ideal") call.matmul(at.raw, weights, at.y, count, rows, width, 8, 8 * rows);
    else {
      this.currents(at, launch, 0);
      if (isRead) this.retry(at, launch);
      this.digitise(at, count * width);
      call.affine(at.y, scales, at.alpha, count, width);
    }
    const result = wasm.view(at.y, count * width);
    for (let i = 0; i < count; i++) {
      const from = i * width;
      out.set(result.subarray(from, from + cols), i * weight.cols + block.cols[0]);
    }
    return !isRead;
  }

  private places(count: number): Places {
    const { rows, width } = this.tile;
    const take = this.wasm.taker();
    // Levels come in groups of four vectors and four rows, their sums in groups of four vectors.
    const inputs = 16 * Math.ceil(count / 4) * Math.ceil(rows / 4);
    const results = Math.max(count * width, 32 * Math.ceil(count / 4));
    // Inputs come first, so that they are in the same place for tiles of other widths.
    return {
      raw: take(inputs),
      x: take(inputs),
      size: take(inputs),
      square: take(inputs),
      alpha: take(count),
      y: take(results),
      main: take(results),
      load: take(results),
      power: take(results),
      far: take(results),
      z: take(results),
      minus: take(results),
      panel: take(13 * (rows + 4)),
      bend: take(width),
    };
  }

  /** DAC. */
  private convert(at: Places, count: number): void {
    const { bits, bound } = this.target.tile.dac;
    const { rows } = this.tile;
    const { call } = this.wasm;
    const step = stepOf(bound.value, bits.value);
    call.dac(at.raw, at.x, at.alpha, count, rows, bound.value, step);
    if (this.hasLevels()) call.levels(at.x, at.size, count, rows, 1 / step);
  }

  /** What reaches the converters: y, and with two counters y and minus. */
  private currents(at: Places, launch: Launch, attempt: number): void {
    const { rows, width, weights } = this.tile;
    const count = launch.rows.length;
    if (!this.hasLevels()) {
      this.wasm.call.matmul(at.x, weights, at.y, count, rows, width, 8, 8 * rows);
      this.sums(at, count);
    }
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
        this.convert(one, 1);
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

  /** Whether sums are those of levels. */
  private hasLevels(): boolean {
    return addsLevels(this.target, this.tile.mode);
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
    const { readNoise, outputNoise, sShape } = this.target.analog;
    const { call } = this.wasm;
    const area = launch.rows.length * this.tile.width;
    // Two counters read the sum each with noise of its own, so theirs is added when they are told apart.
    const apart = this.target.tile.adc.scheme === "two-counter" || sShape !== undefined;
    const sigma = apart ? 0 : outputNoise.value;
    const read = readNoise.value;
    const isDrawn = read > 0 || !apart;
    if (isDrawn) this.draw(at.z, launch, apart ? PURPOSE.read : PURPOSE.conversion, attempt);
    if (this.hasLevels()) this.ofLevels(at, launch.rows.length, sigma);
    else this.addOfSums(at, area, sigma);
    if (isDrawn && read === 0) call.addScaled(at.y, at.z, area, outputNoise.value);
    if (sShape) this.bend(at, launch.rows.length);
    if (sShape && this.target.tile.adc.scheme === "symmetric") {
      this.draw(at.z, launch, PURPOSE.conversion, attempt);
      call.addScaled(at.y, at.z, area, outputNoise.value);
    }
  }

  /** Drop and read noise, with as much output noise as belongs to it. */
  private addOfSums(at: Places, area: number, sigma: number): void {
    const { irDrop, readNoise } = this.target.analog;
    const { call } = this.wasm;
    const scale = irDrop.scale.value;
    if (scale > 0) call.irDrop(at.y, at.load, at.far, area, this.irLoad(), scale);
    const read = readNoise.value;
    if (read > 0) call.addNoise(at.y, at.power, at.z, area, sigma, read);
  }

  /** The products of levels, disturbed alike. */
  private ofLevels(at: Places, count: number, sigma: number): void {
    const { irDrop, readNoise } = this.target.analog;
    const { bits, bound } = this.target.tile.dac;
    const { rows, width, weights, distance } = this.tile;
    const [read, drop] = [readNoise.value, irDrop.scale.value];
    const step = stepOf(bound.value, bits.value);
    const results = [at.y, read > 0 ? at.z : 0, at.main, at.load, at.power, at.far, at.panel];
    this.wasm.call.levelProduct(
      ...[at.size, weights, distance, ...results, count, rows, width, mostLevel(this.target), step],
      ...[this.irLoad(), drop, sigma, read],
    );
  }

  private irLoad(): number {
    const { wireOhm, gMaxSiemens } = this.target.analog.irDrop;
    return wireOhm.value * gMaxSiemens.value * this.tile.rows;
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

/** Vector i alone: what is kept of each vector is in its place, all else where that of the first one was. */
function rowOf(at: Places, i: number, rows: number, width: number): Places {
  const moved = (from: number, step: number): number => from + i * step * 4;
  const results = { y: moved(at.y, width), minus: moved(at.minus, width) };
  const inputs = { raw: moved(at.raw, rows), x: moved(at.x, rows), alpha: moved(at.alpha, 1) };
  return { ...at, ...results, ...inputs };
}

/** Columns [at, at + width) of `count` rows. */
function gather(
  from: Float32Array,
  step: number,
  at: number,
  to: Float32Array,
  width: number,
  count: number,
): void {
  if (step === width) to.set(from.subarray(0, count * step));
  for (let i = 0; step !== width && i < count; i++) {
    to.set(from.subarray(i * step + at, i * step + at + width), i * width);
  }
}
