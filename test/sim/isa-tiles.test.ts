/** Whole machines whose programs the compiler made, held against the simulator of kernels. */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { isaOf } from "../../src/codegen/isa.ts";
import { programsOf } from "../../src/codegen/program/programs.ts";
import { IsaSimulator } from "../../src/sim/isa/simulator.ts";
import { type Artifact, loadArtifact } from "../../src/sim/load.ts";
import { MODES } from "../../src/sim/program-tiles.ts";
import { simulate } from "../../src/sim/simulate.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { smallInput, smallParts, writeParts } from "./small-artifact.ts";

/** The small artifact with a Relu for its softmax, and its programs. */
function withPrograms(): Artifact {
  const parts = smallParts();
  const soft = parts.schedule.steps[2];
  if (soft) Object.assign(soft, { kernel: "Relu", attrs: {} });
  const directory = writeParts(parts);
  const artifact = loadArtifact(directory);
  const { schedule, mapping, constants, target } = artifact;
  const { programs, images } = programsOf({
    schedule,
    mapping,
    isa: isaOf("rv32imaf"),
    cores: target.cluster.cores.value,
    tcdmBytes: target.cluster.tcdmKiB.value * 1024,
    constant: (name) => constants.get(name) as Tensor,
  });
  writeFileSync(join(directory, "programs.json"), JSON.stringify(programs));
  for (const [path, { elf }] of images) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), elf);
  }
  return artifact;
}

describe.each(MODES)("%s", (mode) => {
  test("tiles give programs the bits that they give kernels, noise and all", async () => {
    const artifact = withPrograms();
    const inputs = [0, 1].map((n) => new Map([["x", smallInput(n)]]));
    const taps = ["t_p", "t_h", "t_a"];
    const chip = { mode, seed: 5, timeSeconds: 100 };
    const wanted = await simulate(artifact, { inputs, taps, ...chip, threads: 1 });
    const found = await new IsaSimulator(artifact, { inputs, taps, judged: true }).run(chip);
    for (const [k, values] of wanted.taps.entries()) {
      for (const name of taps) expect(found.taps[k]?.get(name)).toEqual(values.get(name));
    }
    for (const { step, iterations, check } of found.steps) {
      expect(iterations, step).toBe(12);
      expect(check?.worst, step).toBeLessThan(1e-6);
    }
    expect(found.timing.mvms).toBe(wanted.timing.mvms);
  });
});
