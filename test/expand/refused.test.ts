/** Forms that have no plain operators: they stay with a remark, or are refused with the reason. */

import { expect, test } from "vitest";
import { InputError } from "../../src/diag/diagnostic.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { ramp } from "../onnx/small-model.ts";
import { type Example, fileOf, frontOf } from "./on-ort.ts";

const expandedKinds = async (example: Example) => {
  const { steps } = await frontOf(fileOf(example));
  const step = steps.find(({ pass }) => pass.name === "expand-fused");
  const remarks = step?.remarks ?? [];
  return { kinds: (step?.after.ops ?? []).map((op) => op.kind), remarks };
};

const int32 = (...list: readonly number[]): Tensor => ({
  elem: "i32",
  shape: [list.length],
  data: Int32Array.from(list),
});

test("an activation that only other processors know stays with a remark", async () => {
  const { kinds, remarks } = await expandedKinds({
    op: "com.microsoft.FusedGemm",
    inputs: [ramp([2, 3]), ramp([3, 4])],
    attrs: { activation: "Elu" },
    constants: [1],
  });
  expect(kinds).toContain("onnx.com.microsoft.FusedGemm");
  expect(remarks).toEqual([
    {
      text: "com.microsoft.FusedGemm stays one digital operation: its activation 'Elu' is not supported",
      nodes: ["fused"],
    },
  ]);
});

test("the name that other exporters give RMSNormalization", async () => {
  const { kinds, remarks } = await expandedKinds({
    op: "com.microsoft.SimplifiedLayerNormalization",
    inputs: [ramp([2, 8]), ramp([8])],
    attrs: { axis: -1, epsilon: 1e-5 },
    constants: [1],
  });
  expect(remarks).toEqual([]);
  expect(kinds).toContain("onnx.RMSNormalization");
});

test("what no kernel runs is refused, with the reason and the node", async () => {
  const refused = expandedKinds({
    op: "com.microsoft.GroupQueryAttention",
    inputs: [
      ramp([1, 1, 64]),
      ramp([1, 1, 32]),
      ramp([1, 1, 32]),
      ramp([1, 1, 4, 32]),
      ramp([1, 1, 4, 32]),
      int32(4),
      int32(5),
    ],
    attrs: { num_heads: 2, kv_num_heads: 1 },
    results: [0, 1, 2],
  });
  await expect(refused).rejects.toThrow(InputError);
  await expect(refused).rejects.toThrow(
    /A151.*GroupQueryAttention.*total_sequence_length is not constant; .*--set\n.*node 'fused'/s,
  );
});
