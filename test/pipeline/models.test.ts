/** Programs of real models, compiled from their files and run by the executor. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Schedule, Select } from "../../src/artifact/schedule.ts";
import { compileModel } from "../../src/driver/compile.ts";
import { toSchedule } from "../../src/ir/dialects/program-schedule.ts";
import { loadTarget } from "../../src/target/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import { byNumbers, execute } from "./executor.ts";

/** Kernels of each model that run once an inference: masks, and what looks across tokens. */
const MODELS: Readonly<Record<string, { dims: Record<string, number>; once: RegExp }>> = {
  gpt2_lm_t113hf433: { dims: { batch: 2, sequence: 5 }, once: /^$/ },
  bert_base_dynamic_t113hf433: {
    dims: { batch: 2, sequence: 5 },
    once: /^(Reshape|Cast|Sub|Mul)$/,
  },
  llama_static_t26hf450: { dims: {}, once: /^$/ },
  olmoe_loop_t26hf446: { dims: { batch: 2, sequence: 3 }, once: /^$/ },
  vit_cls_t113hf433: {
    dims: { batch: 2 },
    once: /^(Conv|Reshape|Transpose|Concat|Expand|Add|nn.layer_norm)$/,
  },
};

async function scheduleOf(name: string, dims: Record<string, number>): Promise<Schedule> {
  const { module } = await compileModel({
    model: `test/corpus/${name}/model.onnx`,
    target: loadTarget("ahwa-lora"),
    dims,
    samples: [],
    options: {
      policy: loadPolicy("default"),
      lora: { kind: "fresh", rank: 2, alpha: 2 },
      seed: 1,
      tokens: 2,
    },
    dump: [],
    verifyEach: false,
  });
  return toSchedule(module);
}

/** Axes that everybody takes in full have one element here: they cannot go wrong by themselves. */
function narrowed(s: Schedule): Schedule {
  const selects = new Map<string, readonly (readonly Select[])[]>();
  for (const region of s.steps.flatMap((x) => [...x.reads, ...x.writes])) {
    if (region?.buffer === undefined) continue;
    selects.set(region.buffer, [...(selects.get(region.buffer) ?? []), region.select]);
  }
  const buffers = s.buffers.map((b) => {
    const users = [...(selects.get(b.id) ?? []), b.select];
    const isFull = (axis: number): boolean => users.every((u) => u[axis] === "all");
    return { ...b, shape: b.shape.map((d, axis) => (isFull(axis) ? 1 : d)) };
  });
  return { ...s, buffers };
}

describe.each(Object.entries(MODELS))("%s", (name, { dims, once }) => {
  test("streams, and runs right in every order", async () => {
    const schedule = narrowed(await scheduleOf(name, dims));
    const oneShot = schedule.steps.filter((s) => s.domain.batch * s.domain.tokens === 1);
    for (const { kernel, nodes } of oneShot) expect(kernel, nodes.join()).toMatch(once);
    await fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 5, maxLength: 40 }), (numbers) => {
        expect(execute(schedule, 2, byNumbers(numbers))).toBeNull();
      }),
      { numRuns: 2 },
    );
  });
});
