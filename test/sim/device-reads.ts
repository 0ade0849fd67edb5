/**
 * Short-term read noise as it happens: a number for every device and vector, before anything is summed. Slow, and the
 * oracle of the formula by which the simulator adds it to results, sigma sqrt(sum |w| x^2).
 *
 * Of a pair one device carries the weight; the other holds nothing and has no noise.
 */

import { PURPOSE, streamOf } from "../../src/sim/noise-address.ts";
import { Wasm } from "../../src/wasm/module.ts";

/** Rows whose noise is drawn at once, so that their elements are a multiple of 16 and stay in the cache. */
const ROWS = 16;

export interface DeviceArray {
  /** Normalised, [rows, cols]. */
  readonly weights: Float32Array;
  readonly rows: number;
  /** A multiple of 4, the numbers of one instruction. */
  readonly cols: number;
  /** Deviation of the current of a device at full conductance and full input. */
  readonly sigma: number;
}

export class DeviceReads {
  private readonly wasm = new Wasm();
  private readonly array: DeviceArray;
  private readonly at: Readonly<Record<"weights" | "deviations" | "z" | "sums", number>>;

  constructor(array: DeviceArray) {
    const { weights, rows, cols, sigma } = array;
    const { wasm } = this;
    this.array = array;
    const places = [rows * cols, (rows + ROWS) * cols, ROWS * cols, cols].map((n) =>
      wasm.reserve(n),
    );
    const [atWeights = 0, deviations = 0, z = 0, sums = 0] = places;
    this.at = { weights: atWeights, deviations, z, sums };
    wasm.view(atWeights, rows * cols).set(weights);
    wasm.view(deviations, rows * cols).set(weights.map((w) => sigma * Math.sqrt(Math.abs(w))));
  }

  /** Sums of the currents of each column, for vector number `vector`: x[rows]. */
  sums(x: Float32Array, vector: number, seed: number): Float32Array {
    const { rows, cols } = this.array;
    const { call } = this.wasm;
    const { at } = this;
    const sums = this.wasm.view(at.sums, cols).fill(0);
    for (let first = 0; first < rows; first += ROWS) {
      const area = ROWS * cols;
      call.gaussians(at.z, first * cols, area, seed, streamOf(PURPOSE.read), vector, 0, 0);
      call.multiply(at.z, at.deviations + first * cols * 4, area);
      for (let r = first; r < Math.min(rows, first + ROWS); r++) {
        const v = x[r] as number;
        call.accumulate(at.sums, at.weights + r * cols * 4, cols, v);
        call.accumulate(at.sums, at.z + (r - first) * cols * 4, cols, v);
      }
    }
    return sums.slice();
  }
}
