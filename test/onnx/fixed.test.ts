/** Inputs that are set become constants: ONNX Runtime runs the original on these values, and what was read without. */

import { expect, test } from "vitest";
import { drawInputs, splitInferences } from "../../src/data/sample.ts";
import { InputError } from "../../src/diag/diagnostic.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { type AttributeProto, type GraphProto, onnx } from "../../src/onnx/proto.ts";
import { readModel } from "../../src/onnx/read.ts";
import { runModel } from "../../src/reference/run.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { node, port, ramp, write } from "./small-model.ts";

const KIND = onnx.AttributeProto.AttributeType;

/** A merged decoder in small: what a step gives has another shape when there is a cache. */
function merged(): string {
  const branch = (name: string, g: GraphProto): AttributeProto => ({
    name,
    type: KIND.GRAPH,
    g: { name, ...g },
  });
  const output = [port("present", ["b", "t", 4])];
  const attribute = [
    branch("then_branch", {
      output,
      node: [node("Concat", ["past", "x"], ["present"], { axis: 1 })],
    }),
    branch("else_branch", { output, node: [node("Neg", ["x"], ["present"])] }),
  ];
  return write({
    input: [
      port("x", ["batch", "sequence", 4]),
      port("past", ["batch", "past", 4]),
      port("shift", ["batch", 1, 1]),
      port("use_cache_branch", [1], "i1"),
    ],
    output: [port("y", ["batch", "total", 4])],
    node: [
      { ...node("If", ["use_cache_branch"], ["present"]), attribute },
      node("Add", ["present", "shift"], ["y"]),
    ],
  });
}

const dims = { batch: 2, sequence: 1, past: 3 };
const feeds = new Map([
  ["x", ramp([2, 1, 4])],
  ["past", ramp([2, 3, 4])],
  ["shift", fromNumbers("f32", [2, 1, 1], [0.5, 0.5])],
]);

test.each([0, 1])("an input that is set decides a branch (%i)", async (use) => {
  const path = merged();
  const { module, store, info } = readModel(path, {
    dims,
    set: { use_cache_branch: [use], shift: [0.5] },
  });
  expect(module.inputs.map((p) => p.name)).toEqual(["x", "past"]);
  expect(module.ops.some((op) => op.kind === "onnx.Concat")).toBe(use === 1);
  expect(info.outputs[0]?.shape).toEqual([2, use === 1 ? 4 : 1, 4]);
  const all = new Map([...feeds, ["use_cache_branch", fromNumbers("i1", [1], [use])]]);
  // More inputs than the module has are no harm: observing and verifying give them.
  expect(await runModel(exportModule(module, store), all)).toEqual(await runModel(path, all));
});

test("samples get the values that were set, and may not say others", () => {
  const { info } = readModel(merged(), { dims, set: { use_cache_branch: [1], shift: [0.5] } });
  const [drawn] = [drawInputs(info.inputs, 0)];
  expect(drawn.get("shift")?.data).toEqual(Float32Array.of(0.5, 0.5));
  const [split] = splitInferences(info.inputs, new Map([...feeds].slice(0, 2)));
  expect([...(split?.get("use_cache_branch")?.data ?? [])]).toEqual([1]);
  const other = new Map([...feeds, ["use_cache_branch", fromNumbers("i1", [1], [0])]]);
  expect(() => splitInferences(info.inputs, other)).toThrow(/A428.*use_cache_branch/);
});

test.each<readonly [Record<string, readonly number[]>, RegExp]>([
  [{ use_cache: [1] }, /A138 .*'use_cache'.*did you mean use_cache_branch/],
  [{ use_cache_branch: [2] }, /A139 .*holds i1, which 2 is not/],
  [{ use_cache_branch: [1, 0] }, /A139 .*has 1 elements, \[1\], and 2 values/],
  [{ shift: [1, 2, 3] }, /A139 .*has 2 elements, \[2, 1, 1\]/],
])("what cannot be set is refused: %j", (set, expected) => {
  try {
    readModel(merged(), { dims, set });
    expect.unreachable();
  } catch (e) {
    if (!(e instanceof InputError)) throw e;
    expect(e.diagnostics.map((d) => `${d.code} ${d.text}; ${d.hint}`).join()).toMatch(expected);
  }
});
