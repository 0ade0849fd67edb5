/** gamma of the columns of a block: the largest absolute value of each. */

import { LEAST_SCALE } from "../tensor/column-scales.ts";
import { toF32 } from "../tensor/convert.ts";
import { type Elem, type TensorData, tensor } from "../tensor/tensor.ts";

/** The scales for the largest magnitudes, of the weights' own type. Infinite or NaN where these are. */
export const scalesOf = (elem: Elem, largest: TensorData): Float32Array =>
  toF32(tensor(elem, [largest.length], largest)).map((v) => Math.max(v, LEAST_SCALE));

/** The largest absolute value of each column, of rows that come panel by panel. */
export class Largest {
  private readonly largest: Float32Array;

  constructor(width: number) {
    this.largest = new Float32Array(width);
  }

  take(values: Float32Array): void {
    const { largest } = this;
    const width = largest.length;
    for (let i = 0; i < values.length; i++) {
      const c = i % width;
      // NaN is larger than all.
      largest[c] = Math.max(largest[c] as number, Math.abs(values[i] as number));
    }
  }

  scales(): Float32Array {
    return scalesOf("f32", this.largest);
  }
}
