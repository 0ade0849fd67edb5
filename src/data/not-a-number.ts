/** NaN in inputs: most often a fault of whoever prepared them, and never something that a converter can take. */

import { toF32 } from "../tensor/convert.ts";
import { isFloat, type Tensor } from "../tensor/tensor.ts";
import type { Sample } from "./sample.ts";

/** For each input that holds NaN, over all inferences: `input 'x' holds 3 NaN of 768 values, the first at [0, 4, 2]`. */
export function notNumbers(inferences: readonly Sample[]): string[] {
  const found = new Map<string, { count: number; total: number; first: string }>();
  inferences.forEach((sample, k) => {
    for (const [name, value] of sample) {
      if (!isFloat(value.elem)) continue;
      const { count, first } = oddIn(toF32(value));
      const before = found.get(name) ?? { count: 0, total: 0, first: "" };
      const place = first < 0 ? "" : placeOf(first, value) + (k > 0 ? ` of inference ${k}` : "");
      found.set(name, {
        count: before.count + count,
        total: before.total + value.data.length,
        first: before.first || place,
      });
    }
  });
  return [...found].flatMap(([name, { count, total, first }]) =>
    count === 0
      ? []
      : [`input '${name}' holds ${count} NaN of ${total} values, the first at ${first}`],
  );
}

function oddIn(values: Float32Array): { readonly count: number; readonly first: number } {
  let [count, first] = [0, -1];
  for (let i = 0; i < values.length; i++) {
    if (!Number.isNaN(values[i])) continue;
    if (count++ === 0) first = i;
  }
  return { count, first };
}

/** `[row, column]` of the element at a place in row-major order. */
function placeOf(at: number, { shape }: Tensor): string {
  let rest = at;
  const indices = shape.toReversed().map((size) => {
    const index = rest % size;
    rest = (rest - index) / size;
    return index;
  });
  return `[${indices.toReversed().join(", ")}]`;
}
