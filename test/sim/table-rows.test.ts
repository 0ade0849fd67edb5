/** Look-ups in tables that stay in their file give what they give in a table in memory. */

import { join } from "node:path";
import { expect, test } from "vitest";
import type { Step } from "../../src/artifact/schedule.ts";
import { withRowsAlone } from "../../src/sim/table-rows.ts";
import { KERNELS } from "../../src/tensor/kernels/index.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { writeSafetensors } from "../../src/weights/safetensors.ts";
import { lazySafetensors } from "../../src/weights/tensor-file.ts";
import { folder, ramp } from "../onnx/small-model.ts";

const table = ramp([3000, 100]);
const path = join(folder(), "table.safetensors");
writeSafetensors(path, [{ name: "table", elem: "f32", shape: [3000, 100] }], () => table);

const answer = (step: Step, operands: readonly (Tensor | null)[]): readonly Tensor[] =>
  KERNELS.get(step.kernel)?.({ inputs: operands, attrs: step.attrs, outShapes: null }) ?? [];

const ids = (...values: number[]): Tensor => ({
  elem: "i64",
  shape: [2, values.length / 2],
  data: BigInt64Array.from(values, BigInt),
});

test.each(["nn.embedding", "Gather"])("%s", (kernel) => {
  const step = { kernel, attrs: {} } as Step;
  const wanted = kernel === "Gather" ? ids(7, 2999, -1, 7) : ids(7, 2999, 0, 7);
  const held = lazySafetensors(path, 0).get("table") as Tensor;
  const given = withRowsAlone(step, [held, wanted]);
  expect(given[0]?.shape).toEqual([kernel === "Gather" ? 2 : 3, 100]);
  expect(answer(step, given)).toEqual(answer(step, [table, wanted]));
  const kept = lazySafetensors(path).get("table") as Tensor;
  expect(withRowsAlone(step, [kept, wanted])[0]).toBe(kept);
  expect(withRowsAlone({ ...step, attrs: { axis: 1 }, kernel: "Gather" }, [held, wanted])[0]).toBe(
    held,
  );
  expect(withRowsAlone(step, [held, ids(1, 3000)])[0]).toBe(held);
});
