/** The calls of digital kernels that a model makes on its machine, with what they were given. */

import { rmSync } from "node:fs";
import { join } from "node:path";
import { constantBlock } from "../../src/codegen/kernel.ts";
import { drawInputs } from "../../src/data/sample.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { simulate } from "../../src/sim/simulate.ts";
import { KERNELS } from "../../src/tensor/kernels/index.ts";
import type { Kernel } from "../../src/tensor/kernels/kernel.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { Case } from "../corpus.ts";
import { place } from "../e2e/cli.ts";
import { compile } from "../e2e/corpus.ts";
import type { CompiledCase } from "../tensor/node-case.ts";
import type { Call } from "./run-kernel.ts";

/** One call of each kind: those that differ in kernel, attributes or types. In blocks, as the machine makes them. */
export async function recordedCalls(model: Case): Promise<readonly Call[]> {
  const folder = place();
  try {
    const out = join(folder, "artifact");
    await compile(model.model, out, model.data[0]);
    const artifact = loadArtifact(out);
    return await callsOf({ artifact, inputs: drawInputs(artifact.manifest.model.inputs, 1) });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The same of an artifact. */
export const callsOf = ({ artifact, inputs }: CompiledCase): Promise<readonly Call[]> =>
  recording(new Set(artifact.constants.values()), async () => {
    await simulate(artifact, { inputs: [inputs], mode: "ideal", threads: 1 });
  });

/** What the machine code of a call depends on: kernel, attributes, types, and the values of small constants. */
export function kindOf({ kernel, attrs, operands, constants = [], results }: Call): string {
  const given = operands.map((t) => t && [t.elem, t.shape]);
  const values = constants.map((i) => {
    const t = operands[i] as Tensor;
    return constantBlock(t, () => t).values;
  });
  return JSON.stringify([kernel, attrs, given, results, constants, values]);
}

async function recording(
  all: ReadonlySet<Tensor>,
  run: () => Promise<void>,
): Promise<readonly Call[]> {
  const calls = new Map<string, Call>();
  const table = KERNELS as Map<string, Kernel>;
  const before = [...table];
  for (const [kernel, compute] of before) {
    table.set(kernel, (call) => {
      const results = compute(call);
      const { inputs, attrs, outShapes } = call;
      const open = outShapes ? {} : { isOpen: true };
      const wanted = results.slice(0, outShapes?.length ?? 1);
      const types = wanted.map(({ elem, shape }, i) => ({ elem, shape: outShapes?.[i] ?? shape }));
      const constants = inputs.flatMap((t, i) => (t && all.has(t) ? [i] : []));
      const made = { kernel, attrs, operands: inputs, constants, results: types, ...open };
      const kind = kindOf(made);
      if (!calls.has(kind)) calls.set(kind, made);
      return results;
    });
  }
  try {
    await run();
  } finally {
    for (const [kernel, compute] of before) table.set(kernel, compute);
  }
  return [...calls.values()];
}
