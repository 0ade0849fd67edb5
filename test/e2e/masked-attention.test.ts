/** Causal attention whose scores also get a bias that only the inputs know, block by block of queries. */

import { join } from "node:path";
import { expect, test } from "vitest";
import { verifyWith } from "../../src/cli/commands/verify.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { node, port, ramp, write } from "../onnx/small-model.ts";
import { place } from "./cli.ts";
import { compile } from "./corpus.ts";

const TOKENS = 12;

/** 0 where query i may see key j, a number that no score outweighs elsewhere. */
const causal = (window: number) =>
  fromNumbers(
    "f32",
    [1, 1, TOKENS, TOKENS],
    Array.from({ length: TOKENS * TOKENS }, (_, at) => {
      const [i, j] = [Math.floor(at / TOKENS), at % TOKENS];
      return j <= i && j > i - window ? 0 : -3.4e38;
    }),
  );

test.each([
  ["all earlier keys", TOKENS],
  ["a window of 4 keys", 4],
])("%s and a bias looked up by an input", async (_, window) => {
  const heads = [1, 2, TOKENS, 8];
  const scores = [1, 2, TOKENS, TOKENS];
  const model = write({
    input: [port("x", [1, TOKENS, 16]), port("distances", scores, "i64")],
    output: [port("y", heads)],
    initializer: [
      toProto("w", ramp([16, 16])),
      toProto("shape", fromNumbers("i64", [4], [1, TOKENS, 2, 8])),
      toProto("mask", causal(window)),
      toProto("table", ramp([7])),
    ],
    node: [
      node("MatMul", ["x", "w"], ["projected"]),
      node("Reshape", ["projected", "shape"], ["split"]),
      node("Transpose", ["split"], ["q"], { perm: [0, 2, 1, 3] }),
      node("Transpose", ["split"], ["k"], { perm: [0, 2, 3, 1] }),
      node("MatMul", ["q", "k"], ["scores"]),
      node("Gather", ["table", "distances"], ["bias"]),
      node("Add", ["scores", "bias"], ["biased"]),
      node("Add", ["biased", "mask"], ["masked"]),
      node("Softmax", ["masked"], ["probabilities"], { axis: -1 }),
      node("MatMul", ["probabilities", "q"], ["y"]),
    ],
  });
  const dir = join(place(), "artifact");
  await compile(model, dir, undefined, { tokens: 2 });
  const artifact = loadArtifact(dir);
  const attention = artifact.schedule.steps.find((s) => s.kernel === "nn.attention");
  expect(attention?.domain).toEqual({ batch: 1, tokens: TOKENS, block: 2 });
  // Keys, values and the bias are read as far as the queries see, and no further.
  const [, keys, values, bias] = attention?.reads.map((r) => r?.select) ?? [];
  expect(keys?.[2]).toEqual(window === TOKENS ? { upto: 0 } : { window, offset: 0 });
  expect(values?.[2]).toEqual(keys?.[2]);
  expect(bias?.[3]).toEqual(keys?.[2]);
  const options = { mode: "ideal", seed: 1, seeds: 1, time: [0] } as const;
  expect((await verifyWith(artifact, options, () => undefined)).verdict).toBe("agrees");
});
