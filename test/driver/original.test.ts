/** Models that ONNX Runtime does not run as they are: older than opset 7. */

import { expect, test } from "vitest";
import { compileModel } from "../../src/driver/compile.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { runModel } from "../../src/reference/run.ts";
import { loadTarget } from "../../src/target/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { node, port, ramp, write } from "../onnx/small-model.ts";

const identity = fromNumbers("f32", [2, 2], [1, 0, 0, 1]);

/** sigmoid(x + b) * I + 0, in the words of opset 6: broadcasting has to be asked for. */
const old = (opset: number): string =>
  write(
    {
      input: [port("x", [3, 2])],
      output: [port("y", [3, 2])],
      initializer: [toProto("b", fromNumbers("f32", [2], [1, -1])), toProto("w", identity)],
      node: [
        node("Add", ["x", "b"], ["s"], { broadcast: 1 }),
        node("Sigmoid", ["s"], ["h"]),
        node("Gemm", ["h", "w", "b"], ["g"], { broadcast: 1 }),
        node("Add", ["g", "x"], ["y"]),
      ],
    },
    opset,
  );

const request = (model: string) => ({
  model,
  target: loadTarget("ahwa-lora"),
  dims: {},
  samples: [new Map([["x", ramp([3, 2])]])],
  options: {
    policy: loadPolicy("default"),
    lora: { kind: "none" as const },
    seed: 0,
    tokens: "auto" as const,
  },
  dump: [],
  verifyEach: true,
});

test("a model of opset 6 is calibrated, and every pass judged, by the module as it was read", async () => {
  const { module, store } = await compileModel(request(old(6)));
  const [mvm] = module.ops.filter((op) => op.kind === "program.launch");
  const hidden = toNumbers(ramp([3, 2])).map((v, i) => 1 / (1 + Math.exp(-(v + (i % 2 ? -1 : 1)))));
  // The converter's range is what the hidden values really reach, so they have been observed.
  const range = mvm?.attrs["input_range"];
  expect(range).toEqual([expect.closeTo(Math.max(...hidden), 5)]);
  const feeds = new Map([["x", ramp([3, 2])]]);
  const answer = (await runModel(exportModule(module, store), feeds)).get("y") as Tensor;
  const bias = [1, -1];
  toNumbers(answer).forEach((v, i) => {
    const x = toNumbers(ramp([3, 2]))[i] ?? 0;
    expect(v).toBeCloseTo((hidden[i] ?? 0) + (bias[i % 2] ?? 0) + x, 5);
  });
});

test("a newer model that ONNX Runtime refuses is the file's fault", async () => {
  await expect(compileModel(request(old(7)))).rejects.toThrow(/A1\d\d/);
});
