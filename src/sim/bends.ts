/** The S-shaped transfer of each column: what is drawn of it once a chip. */

import type { Analog } from "../target/device.ts";
import { gaussianAt, PURPOSE, streamOf } from "./noise-address.ts";

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
