/** A few bytes of model that ask for memory without end are refused by their size, before any is taken. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { build } from "../../src/cli/build.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { checkRoom } from "../../src/sim/room.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { allocate, type Tensor, TensorFault } from "../../src/tensor/tensor.ts";
import { folder, node, port, write } from "../onnx/small-model.ts";

async function compiled(model: string): Promise<string> {
  const output = join(folder(), "artifact");
  const policy = loadPolicy("default");
  const rest = { tokens: "auto", seed: 0, dump: [], verifyEach: false, data: undefined } as const;
  const lora = { kind: "none" } as const;
  await build({ model, target: "ahwa-lora", output, dims: {}, policy, lora, ...rest }, () => {});
  return output;
}

const ints = (...values: number[]): Tensor => fromNumbers("i64", [values.length], values);
const floats = (...values: number[]): Tensor => fromNumbers("f32", [values.length], values);

/** A model that adds the largest element of an operation's result on constants to its input. */
function growing(opType: string, given: readonly Tensor[]): string {
  const names = given.map((_, i) => `c${i}`);
  return write({
    input: [port("x", [2])],
    output: [port("y", [2])],
    initializer: given.map((t, i) => toProto(`c${i}`, t)),
    node: [
      node(opType, names, ["h"]),
      node("ReduceMax", ["h"], ["m"], { keepdims: 0 }),
      node("Add", ["x", "m"], ["y"]),
    ],
  });
}

const WAYS = (n: number): [string, readonly Tensor[]][] => [
  ["ConstantOfShape", [ints(n)]],
  ["Expand", [floats(1), ints(n)]],
  ["Tile", [floats(1), ints(n)]],
  ["Range", [0, n, 1].map((v) => fromNumbers("f32", [], [v]))],
  ["Pad", [floats(1), ints(0, n)]],
];

test.each(WAYS(10 ** 12))("%s of 10^12 elements", async (opType, given) => {
  const model = growing(opType, given);
  await expect(compiled(model)).rejects.toThrow(/^error\[A123\]: .*\n {2}at .*node /);
});

test.each(WAYS(1.5e9))(
  "%s of 1.5 10^9 elements, which a tensor may have",
  async (opType, given) => {
    const model = growing(opType, given);
    await expect(compiled(model)).rejects.toThrow(/^error\[A128\]: .*5\.6 GiB.*\n {2}at .*node /);
  },
);

test("what is computed at run time is compiled, and refused where memory does not hold it", async () => {
  const model = write({
    input: [port("x", [1])],
    output: [port("y", [])],
    initializer: [toProto("s", ints(1.5e9))],
    node: [node("Expand", ["x", "s"], ["h"]), node("ReduceMax", ["h"], ["y"], { keepdims: 0 })],
  });
  const output = await compiled(model);
  expect(existsSync(join(output, "schedule.json"))).toBe(true);
  const artifact = loadArtifact(output);
  expect(() => checkRoom(artifact, 2 ** 32)).toThrow(/A414.*Expand.*5\.6 GiB.*4\.0 GiB/);
  expect(() => checkRoom(artifact, 2 ** 33)).not.toThrow();
});

test.each([1e12, 2 ** 40, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])(
  "storage for %d elements is refused",
  (length) => {
    expect(() => allocate("f32", length)).toThrow(TensorFault);
  },
);
