/**
 * The plain slow simulator that the fast one is held against: the formulas of docs/numerics.md in double precision, one
 * number at a time, with nothing shared but the addresses of the noise and the reading of curves.
 */

import { gaussianAt, momentOf, PURPOSE, streamOf } from "../../src/sim/noise-address.ts";
import { type Curve, evaluateCurve } from "../../src/target/curve.ts";
import type { Device } from "../../src/target/device.ts";
import type { Target } from "../../src/target/schema.ts";
import { philox } from "../../src/tensor/philox.ts";

export interface When {
  readonly seed: number;
  readonly timeSeconds: number;
  /** When drift was last compensated: null for never, absent for `timeSeconds`. */
  readonly compensatedSeconds?: number | null;
}

interface Cell {
  readonly before: number;
  readonly now: number;
  readonly earlier: number;
}

/** What a cell holds that is programmed to w; `element` counts within block `block`. */
function cellOf(
  device: Device,
  w: number,
  layerScale: number,
  element: number,
  block: number,
  when: When,
): Cell {
  const total = { before: 0, now: 0, earlier: 0 };
  const count = device.devicesPerPolarity.value;
  for (const side of device.pair === "signed" ? [0] : [0, 1]) {
    const [sign, x] = shareOf(device, w, side);
    const isIdle = device.pair === "active" && (side === 0 ? w < 0 : w >= 0);
    for (let k = 0; k < count; k++) {
      const at = { element, block, side, device: k, when };
      const g = stuck(device, isIdle ? 0 : programmed(device, x, layerScale, at), at);
      const held = (time: number) => (sign * aged(device, x, g, time, at)) / count;
      total.before += (sign * g) / count;
      total.now += held(when.timeSeconds);
      total.earlier += held(when.compensatedSeconds ?? when.timeSeconds);
    }
  }
  return total;
}

/** Sign and target of the device on one side of a cell. */
function shareOf({ pair }: Device, w: number, side: number): [number, number] {
  if (pair === "signed") return [w < 0 || Object.is(w, -0) ? -1 : 1, Math.abs(w)];
  const sign = side === 0 ? 1 : -1;
  return [sign, Math.max(0, sign * w)];
}

interface One {
  readonly element: number;
  readonly block: number;
  readonly side: number;
  readonly device: number;
  readonly when: When;
}

function gaussian(purpose: number, at: One, attempt = 0, [row, inference] = [0, 0]): number {
  const stream = streamOf(purpose, at.side, at.device, attempt);
  const { seed } = at.when;
  return gaussianAt(at.element, { seed, stream, row, inference, block: at.block });
}

function programmed(device: Device, target: number, layerScale: number, at: One): number {
  const { programming, gMax, pair } = device;
  const zero = (programming.zeroBelow?.value ?? 0) / gMax.value;
  const x = target < zero ? 0 : target;
  let sigma = target < zero ? 0 : evaluateCurve(programming.sigma, target);
  if (programming.relativeTo === "layer") sigma *= layerScale;
  let error = sigma * gaussian(PURPOSE.programming, at);
  const { verify } = programming;
  for (let i = 1; verify && i < verify.iterations.value; i++) {
    if (Math.abs(error) <= verify.margin.value) break;
    error = sigma * gaussian(PURPOSE.programming, at, i);
  }
  const g = x + error / gMax.value;
  return pair === "signed" ? g : Math.max(0, g);
}

function aged(device: Device, x: number, g: number, time: number, at: One): number {
  const { drift, flicker, programming, gMax } = device;
  const zero = (programming.zeroBelow?.value ?? 0) / gMax.value;
  const target = x < zero ? 0 : x;
  const t0 = drift?.t0Seconds.value ?? 0;
  let held = g;
  if (drift && time > 0) {
    const of = (c: Curve) => evaluateCurve(c, target);
    const nu = Math.abs(of(drift.mean) + of(drift.deviation) * gaussian(PURPOSE.driftExponent, at));
    held *= ((time + t0) / t0) ** -nu;
  }
  if (flicker) {
    const tRead = flicker.tReadSeconds.value;
    const spread = Math.sqrt(Math.max(0, Math.log((time + t0 + tRead) / (2 * tRead))));
    const xi = gaussian(PURPOSE.flicker, at, 0, [...momentOf(time)]);
    held *= 1 + evaluateCurve(flicker.q, g) * spread * xi;
    if (device.pair !== "signed") held = Math.max(0, held);
  }
  return stuck(device, held, at);
}

function stuck({ faults }: Device, g: number, at: One): number {
  if (!faults) return g;
  const group = 4 * Math.floor(at.element / 16) + (at.element % 4);
  const stream = streamOf(PURPOSE.fault, at.side, at.device);
  const words = philox([group, 0, 0, at.block], [at.when.seed, stream]);
  const u = Math.fround(words[Math.floor(at.element / 4) % 4] as number) / 2 ** 32;
  if (u < faults.stuckOff.value) return 0;
  return u < Math.fround(faults.stuckOff.value + faults.stuckOn.value) ? 1 : g;
}

/** Normalised weights [rows, cols] as the devices hold them, and the gain of drift compensation. */
export function plainDevices(
  device: Device,
  weights: ArrayLike<number>,
  cols: number,
  layerScale: ArrayLike<number>,
  block: number,
  when: When,
): { readonly weights: number[]; readonly gain: number } {
  const cells = Array.from(weights, (w, i) =>
    cellOf(device, w, layerScale[i % cols] as number, i, block, when),
  );
  const held = cells.map((c) => c.now);
  if (!device.compensation || when.compensatedSeconds === null) return { weights: held, gain: 1 };
  const oneHot = device.compensation.readOut === "one-hot";
  const response = (of: (c: Cell) => number): number => {
    const sums = new Array<number>(cols).fill(0);
    for (const [i, c] of cells.entries()) {
      sums[i % cols] = (sums[i % cols] ?? 0) + (oneHot ? Math.abs(of(c)) : of(c));
    }
    return sums.reduce((a, s) => a + Math.abs(s), 0);
  };
  const least = 1e-4 * (oneHot ? cells.length : cols);
  return {
    weights: held,
    gain:
      Math.max(
        response((c) => c.before),
        least,
      ) /
      Math.max(
        response((c) => c.earlier),
        least,
      ),
  };
}

export interface PlainTile {
  /** As the devices hold them, [rows, cols]. */
  readonly weights: readonly number[];
  readonly rows: number;
  readonly cols: number;
  readonly inputRange: number;
  readonly adcBound: number;
  readonly seed: number;
  /** Without what the fast simulator rounds on purpose: weights to 16 bits, distances of neighbouring rows to one. */
  readonly exact?: boolean;
}

/** What a column holds and how far its rows are from the converter, as its sums have them. */
function columnOf(target: Target, tile: PlainTile, c: number, isNoisy: boolean) {
  const { rows, cols } = tile;
  const held = Array.from({ length: rows }, (_, r) => tile.weights[r * cols + c] as number);
  const far = held.map((_, r) => 1 - (1 - r / rows) ** 2);
  if (tile.exact || !isNoisy || !hasLevels(target)) return { held, far };
  const largest = Math.max(...held.map(Math.abs), 1e-30);
  const near = far.map((_, r) => far.slice(r - (r % 8), r - (r % 8) + 8));
  return {
    held: held.map((w) => (nearest((w / largest) * 32767) * largest) / 32767),
    far: near.map((of) => of.reduce((a, b) => a + b, 0) / of.length),
  };
}

function hasLevels({ tile, analog }: Target): boolean {
  if (tile.adc.scheme === "two-counter" || tile.dac.bits.value > 8) return false;
  return analog.irDrop.scale.value > 0 || analog.readNoise.value > 0;
}

const clip = (v: number, low: number, high: number): number => Math.min(high, Math.max(low, v));
/** Half to even, as the converters' instruction rounds. */
function nearest(v: number): number {
  const floor = Math.floor(v);
  const rest = v - floor;
  if (rest !== 0.5) return Math.round(v);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** What a tile answers to one vector, before the columns' scales. Values at a converter's ties may differ. */
export function plainProduct(
  target: Target,
  tile: PlainTile,
  vector: ArrayLike<number>,
  row: number,
  isNoisy: boolean,
): number[] {
  const { dac, adc } = target.tile;
  const x = Array.from(vector);
  const largest = Math.max(...x.map(Math.abs));
  let alpha = dac.range === "static" ? tile.inputRange : largest > 0 ? largest : 1;
  for (let attempt = 0; ; attempt++) {
    const read = currents(target, tile, x, alpha, row, attempt, isNoisy);
    const isClipped = read.flat().some((v) => Math.abs(v) > tile.adcBound);
    if (adc.whenClipped === "saturate" || !isClipped || attempt === 10) {
      return read.map((counters) => alpha * digits(target, counters, tile.adcBound));
    }
    alpha *= 2;
  }
}

function digits(target: Target, counters: readonly number[], bound: number): number {
  const { bits, scheme } = target.tile.adc;
  const [y = 0, minus = 0] = counters;
  if (scheme === "symmetric") {
    const step = bound / (2 ** (bits.value - 1) - 1);
    return step * nearest(clip(y, -bound, bound) / step);
  }
  const step = bound / (2 ** bits.value - 1);
  const count = (v: number) => step * nearest(clip(v, 0, bound) / step);
  return count(y) - count(minus);
}

/** What reaches the converters of each column: one value, or the positive and the negative current. */
function currents(
  target: Target,
  tile: PlainTile,
  vector: readonly number[],
  alpha: number,
  row: number,
  attempt: number,
  isNoisy: boolean,
): number[][] {
  const { dac, adc } = target.tile;
  const { irDrop, readNoise, outputNoise, sShape } = target.analog;
  const { rows, cols, seed } = tile;
  const step = dac.bound.value / (2 ** (dac.bits.value - 1) - 1);
  const x = vector.map(
    (v) => step * nearest(clip(v / alpha, -dac.bound.value, dac.bound.value) / step),
  );
  const z = (purpose: number, column: number): number => {
    const stream = streamOf(purpose, 0, 0, attempt);
    return gaussianAt(column, { seed, stream, row, inference: 0, block: 0 });
  };
  const disturbed = (c: number, clean: number, load: number, sum: Sum): number => {
    const a = irDrop.wireOhm.value * irDrop.gMaxSiemens.value * rows * load;
    const far = sum((w, v, distance) => w * v * distance);
    const y = clean - irDrop.scale.value * (0.05 * a ** 3 - 0.2 * a ** 2 + 0.5 * a) * far;
    const power = sum((w, v) => Math.abs(w) * v * v);
    if (adc.scheme === "symmetric" && !sShape) {
      const sigma = Math.hypot(outputNoise.value, readNoise.value * Math.sqrt(power));
      return y + sigma * z(PURPOSE.conversion, c);
    }
    const read = y + readNoise.value * Math.sqrt(power) * z(PURPOSE.read, c);
    const bent = sShape ? read / (1 + zetaOf(sShape, seed, c) * Math.abs(read)) : read;
    const out = adc.scheme === "symmetric" ? outputNoise.value : 0;
    return bent + out * z(PURPOSE.conversion, c);
  };
  return Array.from({ length: cols }, (_, c) => {
    const { held, far } = columnOf(target, tile, c, isNoisy);
    const sum: Sum = (of) =>
      x.reduce((s, v, r) => s + of(held[r] as number, v, far[r] as number), 0);
    const load = sum((w, v) => Math.abs(w * v));
    const clean = sum((w, v) => w * v);
    const y = isNoisy ? disturbed(c, clean, load, sum) : clean;
    if (adc.scheme === "symmetric") return [y];
    const out = isNoisy ? outputNoise.value : 0;
    return [
      Math.max(0, (load + y) / 2) + out * z(PURPOSE.conversion, c),
      Math.max(0, (load - y) / 2) + out * z(PURPOSE.secondCounter, c),
    ];
  });
}

/** The sum over the rows of a column of something of each weight, input and distance. */
type Sum = (of: (w: number, v: number, distance: number) => number) => number;

function zetaOf(bend: NonNullable<Target["analog"]["sShape"]>, seed: number, c: number): number {
  const stream = streamOf(PURPOSE.bend);
  const xi = gaussianAt(c, { seed, stream, row: 0, inference: 0, block: 0 });
  return Math.abs(bend.mean.value + bend.deviation.value * xi);
}
