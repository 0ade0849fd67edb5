/** Writes the programs of an artifact's clusters: programs.json, and an ELF file and its source for each that differs. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Mapping } from "../artifact/mapping.ts";
import { Programs } from "../artifact/programs.ts";
import type { Schedule } from "../artifact/schedule.ts";
import { isaOf } from "../codegen/isa.ts";
import { type Block, constantBlock } from "../codegen/kernel.ts";
import { kernelFile } from "../codegen/program/image.ts";
import { type MadePrograms, programsOf } from "../codegen/program/programs.ts";
import { isTensorAttr } from "../ir/op.ts";
import { statements } from "../riscv/listing.ts";
import type { Target } from "../target/schema.ts";
import type { WeightStore } from "../weights/store.ts";
import type { Constant } from "./constants.ts";
import { stableJson } from "./json.ts";

interface Given {
  readonly schedule: Schedule;
  readonly mapping: Mapping;
  readonly store: WeightStore;
  readonly constants: ReadonlyMap<string, Constant>;
}

export function writePrograms(dir: string, given: Given, { cluster }: Target): void {
  const { schedule, mapping, store, constants } = given;
  const blocks = new Map<string, Block>();
  const constant = (name: string): Block => {
    const found = blocks.get(name) ?? blockOf(name, constants.get(name), store);
    blocks.set(name, found);
    return found;
  };
  const made = programsOf({
    schedule,
    mapping,
    isa: isaOf(cluster.isa),
    cores: cluster.cores.value,
    tcdmBytes: cluster.tcdmKiB.value * 1024,
    constant,
  });
  savePrograms(dir, made);
}

/** Writes programs beside the schedule that they were made from. */
export function savePrograms(dir: string, { programs, images }: MadePrograms): void {
  writeFileSync(join(dir, "programs.json"), stableJson(Programs.parse(programs)));
  const folder = join(dir, "programs");
  mkdirSync(join(folder, "kernels"), { recursive: true });
  for (const [path, image] of images) {
    writeFileSync(join(dir, path), image.elf);
    writeFileSync(join(dir, path.replace(/elf$/, "S")), image.assembly());
  }
  for (const kernel of new Set([...images.values()].flatMap((image) => image.kernels))) {
    writeFileSync(join(folder, kernelFile(kernel)), `${statements(kernel.lines)}\n`);
  }
}

function blockOf(name: string, constant: Constant | undefined, store: WeightStore): Block {
  if (!constant) throw new Error(`'${name}' is not a constant of the schedule`);
  if (isTensorAttr(constant)) return constantBlock(constant, () => constant);
  return constantBlock(constant.type, () => store.load(constant));
}
