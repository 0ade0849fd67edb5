import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Programs } from "../../../src/artifact/programs.ts";
import { readElf } from "../../../src/riscv/elf-read.ts";
import { simulate } from "../../../src/sim/simulate.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../../judges.ts";
import { inFolder } from "../../riscv/gnu.ts";
import { routedParts } from "../../sim/routed-artifact.ts";
import { smallInput, smallParts } from "../../sim/small-artifact.ts";
import { run, withPrograms } from "./on-clusters.ts";

const [AS, OBJCOPY] = ["as", "objcopy"].map((tool) => `riscv64-unknown-elf-${tool}`) as [
  string,
  string,
];

/** What a cluster's data and stacks take. */
const fixedBytes = ({ areas }: Programs["clusters"][number]): number =>
  areas.slice(0, 2).reduce((sum, a) => sum + a.bytes, 0);

describe("the programs of a small network", () => {
  test("give what its kernels give, in the TCDM and where nothing fits", async () => {
    const least = Math.max(...withPrograms(smallParts()).made.programs.clusters.map(fixedBytes));
    for (const tcdm of [2 ** 17, least + 64]) {
      const made = withPrograms(smallParts(), tcdm);
      const { steps } = await run(made, [new Map([["x", smallInput(1)]])]);
      expect(Math.max(...steps.map((s) => s.check?.worst ?? 1))).toBeLessThan(1e-6);
      const { clusters } = made.made.programs;
      expect(clusters.every((c) => c.tcdmBytes <= tcdm)).toBe(true);
      expect(clusters.filter((c) => c.mainBytes > 0).length).toBe(tcdm === 2 ** 17 ? 1 : 3);
    }
  });

  test("have one attention for all token blocks of a size, however many keys those see", () => {
    const names = (block: number): readonly string[] => {
      const images = [...withPrograms(smallParts(block)).made.images.values()];
      const kernels = new Set(images.flatMap((i) => i.kernels.map((k) => k.name)));
      return [...kernels].filter((name) => name.startsWith("nn.attention"));
    };
    // Of five tokens: all blocks alike; the last one shorter.
    expect(names(1)).toHaveLength(1);
    expect(names(2)).toHaveLength(2);
  });

  test("are refused by a TCDM without room for stacks", () => {
    expect(() => withPrograms(smallParts(), 8192)).toThrow(/A610.*8192 bytes for 8 cores/s);
  });

  test("share memory only between areas of different steps", () => {
    for (const { areas } of withPrograms(smallParts()).made.programs.clusters) {
      for (const a of areas) {
        const meet = areas.filter(
          (b) =>
            b !== a &&
            b.from <= a.to &&
            a.from <= b.to &&
            b.address < a.address + a.bytes &&
            a.address < b.address + b.bytes,
        );
        expect(meet).toEqual([]);
      }
    }
  });

  const gnu = judgedBy(findProgram(AS), AS, RISCV_PACKAGES);
  gnu("have the text that GNU as makes of their sources", () => {
    const { artifact, made } = withPrograms(smallParts());
    const folder = join(artifact.directory, "programs");
    for (const path of made.images.keys()) {
      const elf = readElf(readFileSync(join(artifact.directory, path)), path);
      const text = elf.segments.find((s) => s.may & 1);
      inFolder((place) => {
        const [o, bin] = [join(place, "a.o"), join(place, "a.bin")];
        const source = path.replace(/^.*\//, "").replace(/elf$/, "S");
        const options = ["-march=rv32imaf", "-mabi=ilp32", "-mno-relax", "-o", o, source];
        execFileSync(AS, options, { cwd: folder });
        execFileSync(OBJCOPY, ["-O", "binary", "-j", ".text", o, bin]);
        expect(readFileSync(bin).equals(Buffer.from(text?.bytes ?? []))).toBe(true);
      });
    }
  });
});

test.each(["f32", "f16", "bf16"] as const)(
  "an expert gets what a routing of %s gives it",
  async (elem) => {
    const { parts, inputs } = routedParts(elem);
    const made = withPrograms(parts);
    const { outputs, steps } = await run(made, [inputs]);
    const { outputs: wanted } = await simulate(made.artifact, { inputs: [inputs], mode: "ideal" });
    expect(outputs[0]?.get("out")).toEqual(wanted[0]?.get("out"));
    expect(steps.map((s) => s.check?.worst)).toEqual([0]);
  },
);

test("a cluster goes on with other steps while vectors are in tiles", async () => {
  const { parts, inputs } = routedParts("f32");
  const { schedule } = parts;
  const [mul] = schedule.steps;
  const [x, r, p] = schedule.buffers;
  if (!mul || !x || !r || !p) throw new Error("the artifact has changed");
  const { credits } = mul;
  // The function of the same input does not wait for the launch, nor the launch for it.
  const other = (list: typeof credits, buffer: string) => list.map((c) => ({ ...c, buffer }));
  const relu = {
    ...mul,
    ...{ id: "relu", kernel: "Relu", attrs: {}, signals: ["y"] },
    reads: mul.reads.slice(0, 1),
    writes: [{ buffer: "y", select: [...x.select] }],
    waits: mul.waits.slice(0, 1),
    credits: other(credits, "y"),
  };
  const [reader] = schedule.inputs[0]?.credits ?? [];
  if (!reader) throw new Error("the artifact has changed");
  const [first, ...rest] = schedule.inputs;
  parts.schedule = {
    ...schedule,
    inputs: [
      { name: "x", buffer: "x", ...first, credits: [reader, { ...reader, reader: "relu" }] },
      ...rest,
    ],
    outputs: [...schedule.outputs, { name: "also", buffer: "y" }],
    buffers: [x, r, p, { ...x, id: "y", writer: "relu", capacity: 2 }],
    steps: [mul, relu],
    clusters: [{ cluster: 0, steps: ["mul", "relu"] }],
  };
  const made = withPrograms(parts);
  const { timing, steps } = await run(made, [inputs], 1);
  expect(steps.map((s) => s.check?.worst)).toEqual([0, 0]);
  const of = (kernel: string) =>
    timing.slices.filter((s) => s.process.step?.kernel === kernel && s.endNs > s.startNs);
  const inTiles = of("mvm").filter((s) => s.freeNs === s.startNs);
  const overlapping = of("Relu").filter((s) =>
    inTiles.some((t) => t.startNs < s.endNs && s.endNs < t.endNs),
  );
  expect(overlapping.length).toBeGreaterThan(0);
});
