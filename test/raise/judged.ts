/** Small modules in the forms of different exporters, raised and held against what they said before. */

import { inferShapes } from "../../passes/infer-shapes.ts";
import type { Module } from "../../src/ir/op.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { apply } from "../ir/onnx-models.ts";
import { randomOf } from "./perturb.ts";
import { expectSame, raised } from "./raised.ts";

export type Shapes = Readonly<Record<string, readonly number[]>>;

/** Standard-looking numbers, the same for the same seed. */
export function numbers(shape: readonly number[], seed: number): number[] {
  const random = randomOf(seed);
  return Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => 4 * random() - 2);
}

export const feedsOf = (shapes: Shapes, given: Readonly<Record<string, readonly number[]>> = {}) =>
  new Map(
    Object.entries(shapes).map(([name, shape], i): [string, Tensor] => [
      name,
      fromNumbers("f32", shape, given[name] ?? numbers(shape, i + 7)),
    ]),
  );

/** Raises, and holds the answer against the module as it was written. */
export async function raisedAs(
  { module, store }: { readonly module: Module; readonly store: WeightStore },
  feeds: ReadonlyMap<string, Tensor>,
): Promise<Module> {
  const after = raised(module, store);
  await expectSame(apply(inferShapes, module, store), after, store, feeds);
  return after;
}
