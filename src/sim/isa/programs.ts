/** The machine code of an artifact: `programs.json` and the ELF files that it names. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ClusterImage, MAIN_BASE, Programs, TCDM_BASE } from "../../artifact/programs.ts";
import { fail, inFile } from "../../diag/diagnostic.ts";
import { type ClusterText, clusterText } from "../../iss/cluster-text.ts";
import type { CoreTiming } from "../../iss/costs.ts";
import type { Executable } from "../../riscv/elf.ts";
import { readElf } from "../../riscv/elf-read.ts";
import { type Artifact, read } from "../load.ts";
import { coreTiming } from "./timing.ts";

/** A cluster's memory lies in one of WebAssembly's, which has 4 GiB at most. */
const MOST_MAIN = 3 * 2 ** 30;
const AGAIN = "compile the model again with this version of aimcc";

/** A cluster's program, ready to run. */
export interface ClusterProgram {
  readonly image: ClusterImage;
  readonly text: ClusterText;
  readonly file: string;
  /** Bytes of main memory that it needs. */
  readonly mainBytes: number;
}

export interface MachinePrograms {
  readonly programs: Programs;
  readonly timing: CoreTiming;
  readonly clusters: readonly ClusterProgram[];
}

/** Errors: A623 where there is no machine code, A401, A402, A601, A602 for damaged files. */
export function loadPrograms(artifact: Artifact): MachinePrograms {
  const { directory, target } = artifact;
  if (!existsSync(join(directory, "programs.json"))) {
    fail("A623", "the artifact has no machine code", inFile(directory), AGAIN);
  }
  const programs = read(directory, "programs.json", Programs);
  const [first] = programs.missing;
  if (first) {
    const more = programs.missing.length > 1 ? `, and ${programs.missing.length - 1} more` : "";
    const text = `there is no machine code for step '${first.step}': ${first.reason}${more}`;
    fail("A623", text, inFile(directory), "run it without --isa: the simulator knows its kernels");
  }
  checkSteps(artifact, programs);
  const timing = coreTiming(target);
  const texts = new Map<string, ClusterText>();
  const clusters = programs.clusters.map((image): ClusterProgram => {
    const file = join(directory, image.elf ?? "");
    const text = texts.get(file) ?? clusterText(executable(file), timing);
    texts.set(file, text);
    checkPlaces(image, text, file, target.cluster.tcdmKiB.value * 1024);
    return { image, text, file, mainBytes: mainBytes(image, text) };
  });
  return { programs, timing, clusters };
}

/** Errors: A401 where programs and schedule are not of the same machine. */
function checkSteps({ directory, schedule }: Artifact, { clusters }: Programs): void {
  const own = clusters.flatMap((c) => c.steps.map((id) => `${c.cluster} ${id}`)).sort();
  const theirs = schedule.steps.map((s) => `${s.cluster} ${s.id}`).sort();
  if (own.length === theirs.length && own.every((s, i) => s === theirs[i])) return;
  const text = "programs.json and schedule.json do not have the same steps on the same clusters";
  fail("A401", text, inFile(join(directory, "programs.json")), AGAIN);
}

function executable(file: string): Executable {
  if (!existsSync(file))
    fail("A401", "the artifact lacks a program of a cluster", inFile(file), AGAIN);
  return readElf(readFileSync(file), file);
}

/** Errors: A414 for more memory than a simulated cluster has, A602 for a program where there is none. */
function checkPlaces(image: ClusterImage, text: ClusterText, file: string, tcdm: number): void {
  const bytes = mainBytes(image, text);
  if (bytes > MOST_MAIN) {
    const gib = (n: number): string => `${(n / 2 ** 30).toFixed(1)} GiB`;
    const what = `cluster ${image.cluster} has ${gib(bytes)} in main memory, and at most ${gib(MOST_MAIN)} can be simulated`;
    fail("A414", what, inFile(file), "run it without --isa, or compile it for smaller sizes");
  }
  for (const { address, size } of text.program.segments) {
    const near = address < TCDM_BASE ? TCDM_BASE : TCDM_BASE + tcdm;
    const fits = address + size <= near || address >= MAIN_BASE;
    if (fits) continue;
    const where = `0x${address.toString(16)}`;
    const text = `the program of cluster ${image.cluster} has ${size} bytes at ${where}, where no memory is`;
    fail("A602", text, inFile(file), AGAIN);
  }
}

/** What the image says, or more where its parts need more. */
function mainBytes({ mainBytes: said, rings }: ClusterImage, { program }: ClusterText): number {
  const ends = [
    ...program.segments.map((s) => s.address + s.size),
    ...rings.map((r) => r.address + r.slotBytes * r.capacity),
  ];
  return Math.max(said, ...ends.filter((e) => e > MAIN_BASE).map((e) => e - MAIN_BASE), 0);
}
