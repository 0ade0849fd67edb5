/** The response by which drift compensation measures a tile. */

import type { Wasm } from "../wasm/module.ts";

/** What drift compensation takes a smaller response for, before and after, as AIHWKIT does. */
export const LEAST_RESPONSE = 1e-4;

/** The response of a tile by which drift is measured, gathered in chunks of row-major weights. */
export class Response {
  private readonly cols: number;
  private readonly readOut: "one-hot" | "all-ones" | undefined;
  private readonly sums: Float64Array;
  private sizes = 0;
  private elements = 0;

  constructor(cols: number, readOut: "one-hot" | "all-ones" | undefined) {
    this.cols = cols;
    this.readOut = readOut;
    this.sums = new Float64Array(cols);
  }

  /** Takes in elements `first` to `first + count`, which are at an address. */
  add(wasm: Wasm, at: number, first: number, count: number): void {
    this.elements += count;
    if (this.readOut === "one-hot") {
      this.sizes += wasm.call.sumOfSizes(at, count);
      return;
    }
    const { cols, sums } = this;
    let column = first % cols;
    for (const g of wasm.view(at, count)) {
      sums[column] = (sums[column] as number) + g;
      column = column + 1 === cols ? 0 : column + 1;
    }
  }

  /** By what results are multiplied to make up for the response lost since `before`. */
  lossSince(before: Response): number {
    const least = LEAST_RESPONSE * this.count();
    return Math.max(before.value(), least) / Math.max(this.value(), least);
  }

  /** Sum over columns of the absolute response to each input. */
  private value(): number {
    return this.sums.reduce((sum, s) => sum + Math.abs(s), this.sizes);
  }

  private count(): number {
    return this.readOut === "one-hot" ? this.elements : this.cols;
  }
}
