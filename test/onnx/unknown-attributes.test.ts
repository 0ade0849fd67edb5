import { expect, test } from "vitest";
import { readModel } from "../../src/onnx/read.ts";
import { node, port, write } from "./small-model.ts";

test("an attribute that the operator does not have is ignored, as ONNX Runtime does, and told", () => {
  const path = write({
    input: [port("x", [2, 4])],
    output: [port("y", [2, 4])],
    node: [node("Softmax", ["x"], ["y"], { axis: -1, axes: 7 })],
  });
  const { module, remarks } = readModel(path, { dims: {} });
  expect(module.ops.map((op) => op.attrs)).toEqual([{ axis: -1 }]);
  expect(remarks).toEqual([
    { text: "Softmax has no attribute 'axes': ignored", nodes: ["softmax_of_y"] },
  ]);
});
