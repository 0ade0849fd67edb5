/** The models of the corpus, and how tests compile them. */

import { type BuildRequest, build } from "../../src/cli/build.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import { type Case, MODELS, TRAINED } from "../corpus.ts";

export const core = (name: string): Case => {
  const found = [...MODELS, ...TRAINED].find((c) => c.name === name);
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
