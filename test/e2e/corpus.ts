/** The models of the corpus, and how tests compile them. */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type BuildRequest, build } from "../../src/cli/build.ts";
import { loadPolicy } from "../../src/target/policy.ts";

export interface Case {
  readonly name: string;
  readonly model: string;
  /** Folders of recorded inputs and outputs. */
  readonly data: readonly string[];
}

function caseIn(folder: string, name: string): Case {
  const at = join(folder, name);
  const data = [0, 1].map((k) => join(at, `test_data_set_${k}`)).filter((d) => existsSync(d));
  return { name, model: join(at, "model.onnx"), data };
}

const names = readdirSync("test/corpus").filter((name) => name !== "fragments");
/** The exporter's versions stand at the end of the name of a case that we exported. */
const isExported = (name: string): boolean => /_t\d+(dyn)?hf\d+$/.test(name);

/** Models exported from real model classes with random weights, and the two trained ones. */
export const CORE: readonly Case[] = [
  ...names.filter(isExported).map((name) => caseIn("test/corpus", name)),
  caseIn("samples", "gpt2-bytes"),
  caseIn("samples", "olmoe-bytes"),
];

/** Models of other projects: optimised by ONNX Runtime, small fused graphs, another exporter. */
export const FOREIGN: readonly Case[] = names
  .filter((name) => !isExported(name))
  .map((name) => caseIn("test/corpus", name));

export const core = (name: string): Case => {
  const found = CORE.find((c) => c.name === name);
  if (!found) throw new Error(`the corpus has no ${name}`);
  return found;
};

/** Compiles in this process, for ahwa-lora unless told otherwise. */
export const compile = (
  model: string,
  output: string,
  data: string | undefined,
  changes: Partial<BuildRequest> = {},
): Promise<void> =>
  build(
    {
      model,
      target: "ahwa-lora",
      output,
      dims: {},
      data,
      policy: loadPolicy("default"),
      lora: { kind: "fresh", rank: 8, alpha: 32 },
      tokens: "auto",
      seed: 0,
      dump: [],
      verifyEach: false,
      ...changes,
    },
    () => undefined,
  );
