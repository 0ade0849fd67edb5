/**
 * What devices hold: weights as they are programmed and as they age, under one seed. Formulas and their
 * sources: docs/numerics.md, section "Devices"; the order of effects follows AIHWKIT's noise/pcm.py
 * (commit 4545f11). Weights are normalised: x = |w| / gamma = g / g_max.
 */

import type { Curve } from "../target/curve.ts";
import { type Device, lastMeasured } from "../target/device.ts";
import type { Wasm } from "../wasm/module.ts";
import { PURPOSE, streamOf } from "./noise-address.ts";

/** When and under which seed the devices are looked at. */
export interface Instance {
  readonly seed: number;
  /** Since the end of programming. */
  readonly timeSeconds: number;
}

/** One block of a weight, row-major [rows, cols] in [-1, 1]. */
export interface Programmable {
  readonly weights: Float32Array;
  readonly cols: number;
  /** Per column: the largest weight of the whole matrix over that of the column. Only for `relativeTo: layer`. */
  readonly layerScale: Float32Array;
  /** Number for noise: the position over all blocks of mapping.json. */
  readonly number: number;
}

/** Elements that are worked on at once; a multiple of 16, small enough for the second-level cache. */
const CHUNK = 4096;

/** Smallest response that compensation divides by, as in AIHWKIT. */
const LEAST_RESPONSE = 1e-4;

const PIECE = 16;

/** Programs and ages blocks; the curves of the device stay in the module's memory. */
export class Devices {
  private readonly wasm: Wasm;
  private readonly device: Device;
  private readonly sigma: PlacedCurve;
  private readonly mean: PlacedCurve | undefined;
  private readonly deviation: PlacedCurve | undefined;
  private readonly q: PlacedCurve | undefined;
  private readonly areas: Areas;
  /** Conductances of a pair are never negative; a signed number has no such bound. */
  private readonly floor: number;

  constructor(device: Device, wasm: Wasm) {
    const { programming, drift, flicker } = device;
    this.wasm = wasm;
    this.device = device;
    this.sigma = placeCurve(wasm, programming.sigma);
    this.mean = drift && placeCurve(wasm, drift.mean);
    this.deviation = drift && placeCurve(wasm, drift.deviation);
    this.q = flicker && placeCurve(wasm, flicker.q);
    this.areas = areasIn(wasm);
    this.floor = device.pair === "signed" ? -Infinity : 0;
  }

  /**
   * Replaces the weights by what the devices hold at the time, and gives the factor by which drift compensation
   * multiplies the results of the tile.
   */
  disturb(block: Programmable, how: Instance): number {
    const { weights, cols } = block;
    const { compensation } = this.device;
    const before = new Response(cols, compensation?.readOut);
    const after = new Response(cols, compensation?.readOut);
    const measured = compensation ? lastMeasured(compensation, how.timeSeconds) : null;
    const then = measured ?? how.timeSeconds;
    for (let first = 0; first < weights.length; first += CHUNK) {
      const count = Math.min(CHUNK, weights.length - first);
      const view = (at: number) => this.wasm.view(at, count);
      view(this.areas.w).set(weights.subarray(first, first + count));
      const chunk = { block, first, count: Math.ceil(count / 16) * 16, seed: how.seed >>> 0 };
      this.hold(chunk, how.timeSeconds, then);
      weights.set(view(this.areas.now), first);
      if (measured === null) continue;
      before.add(view(this.areas.before), first);
      const earlier = then === how.timeSeconds ? this.areas.now : this.areas.earlier;
      after.add(view(earlier), first);
    }
    if (measured === null) return 1;
    return before.value() / Math.max(after.value(), LEAST_RESPONSE * before.count());
  }

  /** Conductances of one chunk, summed over the devices of each cell. */
  private hold(chunk: Chunk, time: number, measured: number): void {
    const { areas, device } = this;
    for (const at of [areas.before, areas.now, areas.earlier]) {
      this.wasm.view(at, chunk.count).fill(0);
    }
    for (const side of device.pair === "signed" ? [0] : [0, 1]) {
      for (let k = 0; k < device.devicesPerPolarity.value; k++) {
        const one = { ...chunk, side, device: k };
        this.program(one);
        this.stick(one, areas.g);
        this.add(one, areas.g, areas.before);
        this.age(one, time, areas.now);
        if (measured !== time) this.age(one, measured, areas.earlier);
      }
    }
  }

  /** g := what one device of each cell holds after programming. */
  private program(one: One): void {
    const { call } = this.wasm;
    const { w, x, g, sigma, z, other } = this.areas;
    const { count, side } = one;
    const { programming, gMax, pair } = this.device;
    if (pair === "signed") call.magnitude(w, x, count);
    else call.target(w, x, count, side === 0 ? 1 : -1);
    this.evaluate(this.sigma, sigma, x, count);
    if (programming.relativeTo === "layer") this.scaleSigma(one);
    if (programming.zeroBelow) {
      call.deadZone(x, sigma, count, programming.zeroBelow.value / gMax.value);
    }
    this.draw(one, z, PURPOSE.programming);
    const { verify } = programming;
    for (let attempt = 1; verify && attempt < verify.iterations.value; attempt++) {
      this.draw(one, other, PURPOSE.programming, attempt);
      if (call.verify(z, other, sigma, count, verify.margin.value) === 0) break;
    }
    call.programmed(g, x, sigma, z, count, 1 / gMax.value, this.floor);
    if (pair === "active") call.idle(g, w, count, side === 0 ? 1 : -1);
  }

  private scaleSigma({ block: { layerScale, cols }, first, count }: Chunk): void {
    const sigma = this.wasm.view(this.areas.sigma, count);
    for (let i = 0; i < count; i++) {
      sigma[i] = (sigma[i] as number) * (layerScale[(first + i) % cols] as number);
    }
  }

  /** Adds to `sum` what the programmed devices `g` hold at the time. */
  private age(one: One, time: number, sum: number): void {
    const { call } = this.wasm;
    const { x, g, aged, z, curve, other } = this.areas;
    const { count } = one;
    const { drift, flicker } = this.device;
    const t0 = drift?.t0Seconds.value ?? 0;
    this.wasm.view(aged, count).set(this.wasm.view(g, count));
    if (drift && this.mean && this.deviation && time > 0) {
      this.draw(one, z, PURPOSE.driftExponent);
      this.evaluate(this.mean, curve, x, count);
      this.evaluate(this.deviation, other, x, count);
      call.drifted(aged, curve, other, z, count, Math.log((time + t0) / t0));
    }
    if (flicker && this.q) {
      const tRead = flicker.tReadSeconds.value;
      const decades = Math.log((time + t0 + tRead) / (2 * tRead));
      this.draw(one, z, PURPOSE.flicker);
      this.evaluate(this.q, curve, g, count);
      call.flicker(aged, curve, z, count, Math.sqrt(Math.max(0, decades)), this.floor);
    }
    this.stick(one, aged);
    this.add(one, aged, sum);
  }

  private stick(one: One, at: number): void {
    const { faults } = this.device;
    if (!faults) return;
    const { first, count, seed, side, device, block } = one;
    const { other } = this.areas;
    const stream = streamOf(PURPOSE.fault, side, device);
    this.wasm.call.words(other, first, count, seed, stream, 0, 0, block.number);
    this.wasm.call.stuck(at, other, count, faults.stuckOff.value, faults.stuckOn.value);
  }

  private add({ count, side }: One, from: number, sum: number): void {
    const { call } = this.wasm;
    const share = 1 / this.device.devicesPerPolarity.value;
    if (this.device.pair === "signed") {
      call.accumulateSigned(sum, from, this.areas.w, count, share);
    } else call.accumulate(sum, from, count, side === 0 ? share : -share);
  }

  private draw(one: One, to: number, purpose: number, attempt = 0): void {
    const { first, count, seed, side, device, block } = one;
    const stream = streamOf(purpose, side, device, attempt);
    this.wasm.call.gaussians(to, first, count, seed, stream, 0, 0, block.number);
  }

  private evaluate({ at, pieces }: PlacedCurve, out: number, x: number, count: number): void {
    this.wasm.call.curve(out, x, count, at, pieces);
  }
}

/** Elements `first` to `first + count` of a block; `count` is a multiple of 16. */
interface Chunk {
  readonly block: Programmable;
  readonly first: number;
  readonly count: number;
  readonly seed: number;
}

/** One of the devices of each cell of a chunk. */
interface One extends Chunk {
  readonly side: number;
  readonly device: number;
}

/** Byte addresses of the areas of one chunk. */
type Areas = Readonly<Record<(typeof AREAS)[number], number>>;

const AREAS = [
  "w",
  "x",
  "sigma",
  "z",
  "other",
  "curve",
  "g",
  "aged",
  "before",
  "now",
  "earlier",
] as const;

const areasIn = (wasm: Wasm): Areas =>
  Object.fromEntries(AREAS.map((name) => [name, wasm.reserve(CHUNK)])) as Areas;

/** A curve in the module's memory, as `curve` of src/wasm/devices.as.ts reads it. */
interface PlacedCurve {
  readonly at: number;
  readonly pieces: number;
}

function placeCurve(wasm: Wasm, curve: Curve): PlacedCurve {
  const at = wasm.reserve(curve.pieces.length * PIECE);
  const table = wasm.view(at, curve.pieces.length * PIECE);
  for (const [i, piece] of curve.pieces.entries()) {
    const { below = Infinity, low = -Infinity, high = Infinity } = piece;
    const [kind, numbers] = termsOf(piece);
    table.set([below, kind, low, high, numbers.length, ...numbers], i * PIECE);
  }
  return { at, pieces: curve.pieces.length };
}

function termsOf(piece: Curve["pieces"][number]): readonly [number, readonly number[]] {
  if ("polynomial" in piece) return [0, piece.polynomial];
  if ("logarithmic" in piece) return [1, piece.logarithmic];
  return [2, [piece.power.scale, piece.power.exponent]];
}

/** The response of a tile by which drift is measured, gathered in chunks of row-major weights. */
class Response {
  private readonly cols: number;
  private readonly readOut: "one-hot" | "all-ones" | undefined;
  private readonly sums: Float64Array;
  private elements = 0;

  constructor(cols: number, readOut: "one-hot" | "all-ones" | undefined) {
    this.cols = cols;
    this.readOut = readOut;
    this.sums = new Float64Array(cols);
  }

  add(weights: Float32Array, first: number): void {
    const { cols, sums } = this;
    const oneHot = this.readOut === "one-hot";
    let column = first % cols;
    for (let i = 0; i < weights.length; i++) {
      const g = weights[i] as number;
      sums[column] = (sums[column] as number) + (oneHot ? Math.abs(g) : g);
      column = column + 1 === cols ? 0 : column + 1;
    }
    this.elements += weights.length;
  }

  /** Sum over columns of the absolute response to each input. */
  readonly value = (): number => this.sums.reduce((sum, s) => sum + Math.abs(s), 0);

  readonly count = (): number => (this.readOut === "one-hot" ? this.elements : this.cols);
}
