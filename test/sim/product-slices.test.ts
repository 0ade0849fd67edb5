/** Products with weights that stay in their file give what they give with weights in memory. */

import { join } from "node:path";
import { expect, test } from "vitest";
import type { Step } from "../../src/artifact/schedule.ts";
import { inSlices } from "../../src/sim/product-slices.ts";
import { KERNELS } from "../../src/tensor/kernels/index.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { writeSafetensors } from "../../src/weights/safetensors.ts";
import { lazySafetensors } from "../../src/weights/tensor-file.ts";
import { folder, ramp } from "../onnx/small-model.ts";

const [INPUTS, OUTPUTS] = [37, 211];
const path = join(folder(), "weights.safetensors");
const held: ReadonlyMap<string, Tensor> = new Map([
  ["w", ramp([INPUTS, OUTPUTS])],
  ["transposed", ramp([OUTPUTS, INPUTS])],
]);
const specs = [...held].map(([name, { elem, shape }]) => ({ name, elem, shape }));
writeSafetensors(path, specs, ({ name }) => held.get(name) as Tensor);

const x = ramp([2, 3, INPUTS]);
const bias = ramp([OUTPUTS]);
/** Columns of 20 inputs each fill this. */
const MOST = 4 * INPUTS * 20;

test.each([
  ["MatMul", "w", {}, (w: Tensor) => [x, w]],
  ["nn.linear", "w", { transposed: false }, (w: Tensor) => [x, bias, null, w]],
  ["nn.linear", "w", { transposed: false }, (w: Tensor) => [x, null, null, w]],
  ["nn.linear", "transposed", { transposed: true }, (w: Tensor) => [x, bias, null, w]],
] as const)("%s with %s", (kernel, name, attrs, operands) => {
  const step = { kernel, attrs } as unknown as Step;
  const sizes: number[] = [];
  const compute = (inputs: readonly (Tensor | null)[]): readonly Tensor[] => {
    sizes.push(inputs.at(-1)?.data.byteLength ?? 0);
    return KERNELS.get(kernel)?.({ inputs, attrs, outShapes: null }) ?? [];
  };
  const expected = compute(operands(held.get(name) as Tensor));
  sizes.length = 0;
  const inFile = lazySafetensors(path, 0).get(name) as Tensor;
  expect(inSlices(step, operands(inFile), compute, MOST)).toEqual(expected);
  expect(sizes.length).toBe(Math.ceil(OUTPUTS / 20));
  expect(Math.max(...sizes)).toBe(MOST);
});

test("experts, and weights that fit, are computed at once", () => {
  const inFile = lazySafetensors(path, 0).get("w") as Tensor;
  const linear = { kernel: "nn.linear", attrs: {} } as Step;
  const routing = ramp([3, 1]);
  for (const [operands, most] of [
    [[x, null, routing, inFile], MOST],
    [[x, null, null, inFile], 1e6],
  ] as const) {
    const seen: unknown[] = [];
    const compute = (given: unknown): readonly Tensor[] => {
      seen.push(given);
      return [];
    };
    inSlices(linear, operands, compute, most);
    expect(seen).toEqual([operands]);
  }
});
