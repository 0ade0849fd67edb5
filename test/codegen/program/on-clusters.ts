/** Artifacts made by hand, with the programs of their clusters, run by instructions. */

import { savePrograms } from "../../../src/backend/programs.ts";
import { isaOf } from "../../../src/codegen/isa.ts";
import { constantBlock } from "../../../src/codegen/kernel.ts";
import { type MadePrograms, programsOf } from "../../../src/codegen/program/programs.ts";
import { type IsaSimulation, IsaSimulator } from "../../../src/sim/isa/simulator.ts";
import { type Artifact, loadArtifact } from "../../../src/sim/load.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { type Parts, writeParts } from "../../sim/small-artifact.ts";

export interface Made {
  readonly artifact: Artifact;
  readonly made: MadePrograms;
}

/** Writes the parts, and the programs made from them, as a directory; for the target's TCDM or a smaller one. */
export function withPrograms(parts: Parts, tcdmBytes?: number): Made {
  const artifact = loadArtifact(writeParts(parts));
  const { cluster } = artifact.target;
  const made = programsOf({
    schedule: artifact.schedule,
    mapping: artifact.mapping,
    isa: isaOf(cluster.isa),
    cores: cluster.cores.value,
    tcdmBytes: tcdmBytes ?? cluster.tcdmKiB.value * 1024,
    constant: (name) => {
      const value = artifact.constants.get(name) as Tensor;
      return constantBlock(value, () => value);
    },
  });
  savePrograms(artifact.directory, made);
  return { artifact, made };
}

/** Every step is held against its kernel on the operands that it has to have. */
export const run = (
  { artifact }: Made,
  inputs: readonly ReadonlyMap<string, Tensor>[],
  traced = 0,
): Promise<IsaSimulation> =>
  new IsaSimulator(artifact, { inputs, judged: true, traced }).run({ mode: "ideal" });
