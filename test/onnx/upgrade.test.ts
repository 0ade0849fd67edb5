/** Nodes of old operator sets mean what they meant: ONNX Runtime runs the original and the upgraded file. */

import { describe, expect, test } from "vitest";
import { differenceOf } from "../../src/compare/difference.ts";
import { exportModule } from "../../src/onnx/export.ts";
import type { NodeProto } from "../../src/onnx/proto.ts";
import { readModel } from "../../src/onnx/read.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { openModel } from "../../src/reference/run.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { node, port, ramp, write } from "./small-model.ts";

interface Case {
  readonly name: string;
  readonly opset: number;
  readonly nodes: readonly NodeProto[];
  readonly outputs: readonly string[];
  readonly constants?: Readonly<Record<string, Tensor>>;
  readonly x?: readonly number[];
}

const one = (
  name: string,
  opset: number,
  made: NodeProto,
  x: readonly number[] = [2, 3, 4],
): Case => ({ name, opset, nodes: [made], outputs: made.output ?? [], x });

const CASES: readonly Case[] = [
  one("Softmax over the axes behind the first", 11, node("Softmax", ["x"], ["y"], { axis: 1 })),
  one("Softmax over everything", 9, node("Softmax", ["x"], ["y"], { axis: 0 })),
  one("Softmax with its old default axis", 7, node("Softmax", ["x"], ["y"])),
  one("LogSoftmax with its old default axis", 11, node("LogSoftmax", ["x"], ["y"])),
  one("Softmax over the last axis", 12, node("Softmax", ["x"], ["y"], { axis: 2 })),
  one("Squeeze by attribute", 11, node("Squeeze", ["x"], ["y"], { axes: [1] }), [2, 1, 4]),
  one("Squeeze of every axis of size 1", 11, node("Squeeze", ["x"], ["y"]), [2, 1, 4, 1]),
  one("Unsqueeze by attribute", 11, node("Unsqueeze", ["x"], ["y"], { axes: [0, 3] })),
  one("ReduceSum by attribute", 11, node("ReduceSum", ["x"], ["y"], { axes: [-1], keepdims: 0 })),
  one("ReduceMean by attribute", 13, node("ReduceMean", ["x"], ["y"], { axes: [1] })),
  one("ReduceMax of all axes", 12, node("ReduceMax", ["x"], ["y"], { keepdims: 0 })),
  one("ReduceL2 by attribute", 17, node("ReduceL2", ["x"], ["y"], { axes: [0, 2] })),
  one(
    "Slice by attributes, to the end",
    9,
    node("Slice", ["x"], ["y"], { starts: [1, -3], ends: [9, 2147483647], axes: [1, 2] }),
  ),
  one("Pad by attribute", 9, node("Pad", ["x"], ["y"], { pads: [0, 1, 0, 0, 0, 2], "value:f": 3 })),
  one("Clip by attributes", 10, node("Clip", ["x"], ["y"], { "min:f": -1, "max:f": 0.5 })),
  one("Clip from above only", 7, node("Clip", ["x"], ["y"], { "max:f": 0.5 })),
  one("TopK by attribute", 9, node("TopK", ["x"], ["y", "i"], { k: 2, axis: 2 })),
  one("Split by attribute", 11, node("Split", ["x"], ["a", "b"], { axis: 2, split: [1, 3] })),
  one("Split into equal parts", 13, node("Split", ["x"], ["a", "b"], { axis: 2 })),
  one("Dropout at inference", 10, node("Dropout", ["x"], ["y"], { "ratio:f": 0.5 })),
  one("Dropout with its mask", 12, node("Dropout", ["x"], ["y", "mask"])),
  {
    name: "Scatter",
    opset: 10,
    nodes: [node("Scatter", ["x", "i", "u"], ["y"], { axis: 1 })],
    outputs: ["y"],
    constants: { i: fromNumbers("i64", [1, 2], [1, 0]), u: fromNumbers("f32", [1, 2], [7, 8]) },
    x: [2, 3],
  },
  {
    name: "a constant of floats",
    opset: 12,
    nodes: [
      node("Constant", [], ["c"], { "value_floats:f": [1, 2, 3, 4] }),
      node("Mul", ["x", "c"], ["y"]),
    ],
    outputs: ["y"],
  },
];

describe("an old node keeps its meaning", () => {
  test.each(CASES)("$name (opset $opset)", async ({ opset, nodes, outputs, constants, x }) => {
    const feeds = new Map([["x", ramp(x ?? [2, 3, 4])]]);
    const path = write(
      {
        input: [port("x", x ?? [2, 3, 4])],
        output: outputs.map((name) => ({ name })),
        node: [...nodes],
        initializer: Object.entries(constants ?? {}).map(([name, t]) => toProto(name, t)),
      },
      opset,
    );
    const { module, store } = readModel(path, { dims: {} });
    const original = await openModel(path);
    const upgraded = await openModel(exportModule(module, store));
    const expected = await original.run(feeds);
    const actual = await upgraded.run(feeds);
    for (const name of outputs) {
      expect(actual.get(name)?.shape).toEqual(expected.get(name)?.shape);
      expect(differenceOf(actual.get(name), expected.get(name) as Tensor).relative).toBeLessThan(
        1e-6,
      );
    }
  });
});

describe("opset 6, which ONNX Runtime does not run", () => {
  test("a slope for each channel stands at the channels", async () => {
    const path = write(
      {
        input: [port("x", [2, 3, 4])],
        output: [port("y", [2, 3, 4])],
        node: [node("PRelu", ["x", "slope"], ["y"])],
        initializer: [toProto("slope", fromNumbers("f32", [3], [1, 2, 3]))],
      },
      6,
    );
    const { module, store } = readModel(path, { dims: {} });
    const x = ramp([2, 3, 4]);
    const session = await openModel(exportModule(module, store));
    const y = (await session.run(new Map([["x", x]]))).get("y") as Tensor;
    const slope = (i: number): number => 1 + (Math.floor(i / 4) % 3);
    expect(toNumbers(y)).toEqual(toNumbers(x).map((v, i) => (v < 0 ? slope(i) * v : v)));
  });
  test("the second operand is placed at the axis that the file names", async () => {
    const path = write(
      {
        input: [port("x", [2, 3, 4])],
        output: [port("y", [2, 3, 4])],
        node: [node("Add", ["x", "b"], ["y"], { broadcast: 1, axis: 1 })],
        initializer: [toProto("b", fromNumbers("f32", [3], [10, 20, 30]))],
      },
      6,
    );
    const { module, store } = readModel(path, { dims: {} });
    const session = await openModel(exportModule(module, store));
    const x = ramp([2, 3, 4]);
    const y = (await session.run(new Map([["x", x]]))).get("y") as Tensor;
    const expected = toNumbers(x).map((v, i) => v + 10 * (1 + (Math.floor(i / 4) % 3)));
    expect(toNumbers(y)).toEqual(expected);
  });
});
