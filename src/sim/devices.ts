/**
 * What devices hold: weights as they are programmed and as they age, under one seed. Formulas and their
 * sources: docs/numerics.md, section "Devices"; the order of effects follows AIHWKIT's noise/pcm.py
 * (commit 4545f11). Weights are normalised: x = |w| / gamma = g / g_max.
 */

import { type Device, lastMeasured } from "../target/device.ts";
import type { Wasm } from "../wasm/module.ts";
import { type PlacedCurve, placeCurve } from "./device-curves.ts";
import { momentOf, PURPOSE, streamOf } from "./noise-address.ts";
import { Response } from "./response.ts";

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
const CHUNK = 8192;

/** Programs and ages blocks; the curves of the device stay in the module's memory. */
export class Devices {
  readonly wasm: Wasm;
  private readonly device: Device;
  private readonly sigma: PlacedCurve;
  private readonly mean: PlacedCurve | undefined;
  private readonly deviation: PlacedCurve | undefined;
  private readonly q: PlacedCurve | undefined;
  /** Targets below this are programmed as 0. */
  private readonly least: number;
  private readonly areas: Areas;
  /** Conductances of a pair are never negative; a signed number has no such bound. */
  private readonly floor: number;

  constructor(device: Device, wasm: Wasm) {
    const { programming, drift, flicker } = device;
    this.wasm = wasm;
    this.device = device;
    this.least = (programming.zeroBelow?.value ?? 0) / device.gMax.value;
    const sigma = placeCurve(wasm, programming.sigma);
    this.sigma = this.least > 0 ? { ...sigma, atZero: 0 } : sigma;
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
      before.add(this.wasm, this.areas.before, first, count);
      const earlier = then === how.timeSeconds ? this.areas.now : this.areas.earlier;
      after.add(this.wasm, earlier, first, count);
    }
    return measured === null ? 1 : after.lossSince(before);
  }

  /** Conductances of one chunk, summed over the devices of each cell. */
  private hold(chunk: Chunk, time: number, measured: number): void {
    const { areas, device } = this;
    const sums = [areas.before, areas.now, ...(measured === time ? [] : [areas.earlier])];
    for (const at of sums) this.wasm.call.clear(at, chunk.count);
    const drifts = Math.max(time, measured) > 0;
    this.prepare(chunk, drifts);
    for (const side of device.pair === "signed" ? [0] : [0, 1]) {
      const chosen = this.choose(chunk, side, drifts);
      for (let k = 0; k < device.devicesPerPolarity.value; k++) {
        const one = { ...chunk, ...chosen, device: k };
        this.program(one);
        this.stick(one, areas.g);
        this.add(one, areas.g, areas.before);
        this.age(one, time, areas.now);
        if (measured !== time) this.age(one, measured, areas.earlier);
      }
    }
  }

  /** What the devices that carry the weights are to hold, and the statistics of devices that hold this. */
  private prepare({ block, first, count }: Chunk, drifts: boolean): void {
    const { call } = this.wasm;
    const { w, size, logs, sigma, mean, deviation, scale } = this.areas;
    call.magnitude(w, size, count);
    const aging = drifts && (this.mean?.usesLogs || this.deviation?.usesLogs);
    if (this.sigma.usesLogs || aging) call.logarithms(logs, size, count);
    this.evaluate(this.sigma, sigma, size, count);
    if (this.least > 0) {
      call.deadZone(size, sigma, count, this.least);
      if (aging) call.logarithms(logs, size, count);
    }
    if (drifts && this.mean) this.evaluate(this.mean, mean, size, count);
    if (drifts && this.deviation) this.evaluate(this.deviation, deviation, size, count);
    if (this.device.programming.relativeTo !== "layer") return;
    const { layerScale, cols } = block;
    const factors = this.wasm.view(scale, count);
    for (let i = 0; i < count; i++) factors[i] = layerScale[(first + i) % cols] as number;
  }

  /** The same for the devices of one side, of which every other one is idle. */
  private choose({ count }: Chunk, side: number, drifts: boolean): Side {
    const { w, x, size, sigma, mean, deviation, ownSigma, ownMean, ownDeviation } = this.areas;
    if (this.device.pair === "signed") return { side, x: size, sigma, mean, deviation };
    const pick = (to: number, from: number, idle: number) =>
      this.wasm.call.ofSide(to, w, from, count, signOf(side), idle);
    pick(x, size, 0);
    pick(ownSigma, sigma, this.sigma.atZero);
    if (drifts && this.mean) pick(ownMean, mean, this.mean.atZero);
    if (drifts && this.deviation) pick(ownDeviation, deviation, this.deviation.atZero);
    return { side, x, sigma: ownSigma, mean: ownMean, deviation: ownDeviation };
  }

  /** g := what one device of each cell holds after programming. */
  private program(one: One): void {
    const { call } = this.wasm;
    const { w, g, z, other } = this.areas;
    const { count, side, x, sigma } = one;
    const { programming, gMax, pair } = this.device;
    this.drawError(one, z, 0);
    const { verify } = programming;
    for (let attempt = 1; verify && attempt < verify.iterations.value; attempt++) {
      this.drawError(one, other, attempt);
      if (call.verify(z, other, sigma, count, verify.margin.value) === 0) break;
    }
    call.programmed(g, x, sigma, z, count, 1 / gMax.value, this.floor);
    if (pair === "active") call.idle(g, w, count, signOf(side));
  }

  /** Errors of programming in units of sigma. */
  private drawError(one: One, to: number, attempt: number): void {
    this.draw(one, to, PURPOSE.programming, attempt);
    if (this.device.programming.relativeTo !== "layer") return;
    this.wasm.call.multiply(to, this.areas.scale, one.count);
  }

  /** Adds to `sum` what the programmed devices `g` hold at the time. */
  private age(one: One, time: number, sum: number): void {
    const { call } = this.wasm;
    const { g, aged, z, logs, curve } = this.areas;
    const { count, mean, deviation } = one;
    const { drift, flicker } = this.device;
    const t0 = drift?.t0Seconds.value ?? 0;
    let held = g;
    if (drift && time > 0) {
      this.draw(one, z, PURPOSE.driftExponent);
      call.drifted(aged, held, mean, deviation, z, count, Math.log((time + t0) / t0));
      held = aged;
    }
    if (flicker && this.q) {
      const tRead = flicker.tReadSeconds.value;
      const decades = Math.log((time + t0 + tRead) / (2 * tRead));
      this.draw(one, z, PURPOSE.flicker, 0, momentOf(time));
      if (this.q.usesLogs) call.logarithms(logs, g, count);
      this.evaluate(this.q, curve, g, count);
      call.flicker(aged, held, curve, z, count, Math.sqrt(Math.max(0, decades)), this.floor);
      held = aged;
    }
    this.stick(one, held);
    this.add(one, held, sum);
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

  private draw(one: One, to: number, purpose: number, attempt = 0, moment = ALWAYS): void {
    const { first, count, seed, side, device, block } = one;
    const stream = streamOf(purpose, side, device, attempt);
    this.wasm.call.gaussians(to, first, count, seed, stream, ...moment, block.number);
  }

  /** The logarithms of x are in their area already. */
  private evaluate({ at, pieces }: PlacedCurve, out: number, x: number, count: number): void {
    this.wasm.call.curve(out, x, this.areas.logs, count, at, pieces);
  }
}

/** Elements `first` to `first + count` of a block; `count` is a multiple of 16. */
interface Chunk {
  readonly block: Programmable;
  readonly first: number;
  readonly count: number;
  readonly seed: number;
}

/** Addresses of the targets and of the statistics of the devices on one side of the pairs. */
interface Side {
  readonly side: number;
  readonly x: number;
  readonly sigma: number;
  readonly mean: number;
  readonly deviation: number;
}

/** One of the devices of each cell of a chunk. */
interface One extends Chunk, Side {
  readonly device: number;
}

/** Of what is drawn once a device. */
const ALWAYS: ReturnType<typeof momentOf> = [0, 0];

const signOf = (side: number): number => (side === 0 ? 1 : -1);

/** Byte addresses of the areas of one chunk. */
type Areas = Readonly<Record<(typeof AREAS)[number], number>>;

const AREAS = [
  "w",
  "size",
  "logs",
  "sigma",
  "mean",
  "deviation",
  "scale",
  "x",
  "ownSigma",
  "ownMean",
  "ownDeviation",
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
