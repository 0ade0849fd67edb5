import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { FACTS } from "../passes/facts.ts";
import { PIPELINE } from "../passes/pipeline.ts";
import { dimsOf } from "../src/data/sample.ts";
import { readSampleFolder } from "../src/data/sample-folder.ts";
import { compileModel } from "../src/driver/compile.ts";
import type { Step } from "../src/driver/run-passes.ts";
import { parseModule } from "../src/ir/parse.ts";
import { printModule } from "../src/ir/print.ts";
import { readPorts } from "../src/onnx/read.ts";
import { loadTarget } from "../src/target/load.ts";
import { loadPolicy } from "../src/target/policy.ts";
import { MODELS, TRAINED } from "./corpus.ts";

const cases = [...MODELS, ...TRAINED].flatMap(({ folder, data }) =>
  data.map((set) => [folder, basename(set)] as const),
);

const target = loadTarget("ahwa-lora");

/** Compiles with every pass judged by ONNX Runtime; the answer must never change. */
async function compile(folder: string, set: string, watch: (step: Step) => void) {
  const model = `${folder}/model.onnx`;
  const { inputs, outputs } = readPorts(model);
  const names = (ports: typeof inputs) => ports.map((p) => p.name);
  const sample = readSampleFolder(`${folder}/${set}`, names(inputs), names(outputs)).inputs;
  return compileModel(
    {
      model,
      target,
      dims: dimsOf(inputs, sample, {}),
      samples: [sample],
      options: {
        policy: loadPolicy("default"),
        lora: { kind: "fresh", rank: 4, alpha: 8 },
        seed: 1,
        tokens: "auto",
      },
      dump: "all",
      verifyEach: true,
    },
    watch,
  );
}

describe.each(cases)("%s %s", (folder, set) => {
  test("keeps its answer through every pass, and each fact that a pass gives is true", async () => {
    const ran: string[] = [];
    const { dumps } = await compile(folder, set, ({ pass, after }) => {
      ran.push(pass.name);
      for (const fact of pass.gives) {
        expect(FACTS[fact](after, target), `${pass.name} gives ${fact}`).toBe(true);
      }
    });
    expect(ran).toEqual(PIPELINE.flatMap((stage) => stage.passes.map((p) => p.name)));
    for (const { file, text } of dumps) expect(printModule(parseModule(text, file))).toBe(text);
  });
});
