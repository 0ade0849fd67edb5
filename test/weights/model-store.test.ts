/** Constants stay in their files until they are asked for, and carry the digest of their bytes. */

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { isWeightRef } from "../../src/ir/op.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { toBytes } from "../../src/tensor/tensor.ts";
import { ModelStore } from "../../src/weights/model-store.ts";

const refsOf = (path: string, dims: Record<string, number>) => {
  const { module, store } = readModel(path, { dims });
  const refs = module.ops.map((op) => op.attrs["value"]).filter((v) => isWeightRef(v));
  return { refs, store };
};

test.each([
  ["inside the model", "test/corpus/distilbert_dynamic_t113hf433/model.onnx"],
  ["beside it", "test/corpus/bigdec_tiny_moe_external/model.onnx"],
])("weights %s are those that their references name", (_, path) => {
  const { refs, store } = refsOf(path, { batch: 1, sequence: 4 });
  expect(refs.length).toBeGreaterThan(10);
  for (const ref of refs) {
    const value = store.load(ref);
    expect({ elem: value.elem, shape: value.shape }).toEqual(ref.type);
    expect(createHash("sha256").update(toBytes(value)).digest("hex")).toBe(ref.sha256);
  }
});

test("added weights get names of their own", () => {
  const store = new ModelStore();
  const [a, b] = [fromNumbers("f32", [1], [1]), fromNumbers("f32", [1], [2])];
  const [first, second] = [store.add("w", a), store.add("w", b)];
  expect(first.weight).toBe("w");
  expect(second.weight).not.toBe("w");
  expect(store.load(first)).toEqual(a);
  expect(store.load(second)).toEqual(b);
  expect(first.sha256).not.toBe(second.sha256);
});
