/**
 * Writes a program as an artifact directory: the contract between the compiler and whoever runs or
 * reads its result. Equal programs give equal bytes: nothing of the clock or the machine goes in.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CalibratedWeight, CalibrationReport } from "../artifact/calibration.ts";
import { Manifest } from "../artifact/manifest.ts";
import { Mapping } from "../artifact/mapping.ts";
import { Schedule } from "../artifact/schedule.ts";
import { isTensorAttr, type Module, type WeightRef } from "../ir/op.ts";
import { unquote } from "../ir/parse-attr.ts";
import type { Target } from "../target/schema.ts";
import type { Elem } from "../tensor/tensor.ts";
import type { WeightStore } from "../weights/store.ts";
import { type Constant, constantsOf } from "./constants.ts";
import { stableJson } from "./json.ts";
import { mappingOf } from "./mapping.ts";
import { type OddValues, showOdd } from "./odd-values.ts";
import { writePrograms } from "./programs.ts";
import type { ColumnWays } from "./tile-images.ts";
import { writeTensors, writeValues } from "./values.ts";

export interface Program {
  /** At the program level. */
  readonly module: Module;
  readonly schedule: Schedule;
  readonly store: WeightStore;
  readonly manifest: Manifest;
  /** Textual modules for ir/. */
  readonly dumps: readonly { readonly file: string; readonly text: string }[];
  /** alpha of the side-branches, for the adapter's configuration. */
  readonly loraAlpha: number;
  /** The machine whose programs are written. Absent: the artifact has none. */
  readonly machine?: Target;
  /** Whether to write the values of weights and constants, or only where they go. */
  readonly images: boolean;
  /** How gamma of each column is chosen. Absent: it is the largest weight. */
  readonly columns?: ColumnWays;
  /** What the full scales cost, where samples said so. */
  readonly calibration?: readonly CalibratedWeight[];
}

/** Fills an empty directory. */
export async function writeArtifact(dir: string, program: Program): Promise<void> {
  const { module, schedule, store } = program;
  const mapping = mappingOf(module, schedule, store);
  writeFileSync(join(dir, "mapping.json"), stableJson(Mapping.parse(mapping)));
  writeFileSync(join(dir, "schedule.json"), stableJson(Schedule.parse(schedule)));
  if (program.calibration) {
    const report = CalibrationReport.parse({ weights: program.calibration });
    writeFileSync(join(dir, "calibration.json"), stableJson(report));
  }
  const constants = constantsOf(module, schedule);
  const model = program.manifest.model.path;
  const { columns } = program;
  const given = { module, schedule, store, mapping, model, ...(columns && { columns }) };
  if (program.machine) writePrograms(dir, { schedule, mapping, store, constants }, program.machine);
  const odd = program.images
    ? await writeValues(dir, given, constants)
    : new Map<string, OddValues>();
  const remarks = [...program.manifest.remarks, ...remarksOn(odd, program, constants)];
  const manifest = Manifest.parse({ ...program.manifest, remarks });
  writeFileSync(join(dir, "manifest.json"), stableJson(manifest));
  await writeDumps(join(dir, "ir"), program);
  if (mapping.lora.length > 0) await writeLora(join(dir, "lora"), program, mapping, constants);
}

/** Computing with such values is what the model says; but it is seldom what was meant. */
function remarksOn(
  odd: ReadonlyMap<string, OddValues>,
  { module, schedule: { steps } }: Program,
  constants: ReadonlyMap<string, Constant>,
): Manifest["remarks"] {
  const values = module.ops.flatMap((op) => op.results);
  const tensors = new Map(values.map((v) => [`%${v.id}`, v.tensor]));
  return [...odd].map(([name, found]) => {
    const constant = constants.get(name);
    const called =
      constant && !isTensorAttr(constant) ? constant.weight : (tensors.get(name) ?? name);
    const readers = steps.filter(({ reads }) => reads.some((r) => r?.constant === name));
    const nodes = [...new Set(readers.flatMap((step) => step.nodes))];
    return { pass: "values", text: `constant '${called}' has ${showOdd(found)}`, nodes };
  });
}

/** The dumps, and the constants that they name but the model's file does not have. */
async function writeDumps(dir: string, { dumps, store, images }: Program): Promise<void> {
  mkdirSync(dir);
  for (const { file, text } of dumps) writeFileSync(join(dir, file), text);
  const [read, ...later] = dumps.map(({ text }) => weightsNamed(text));
  const inFile = new Set(read?.keys());
  const computed = new Map(later.flatMap((refs) => [...refs]).filter(([n]) => !inFile.has(n)));
  if (images) await writeTensors(join(dir, "constants.safetensors"), computed, store);
}

/** Every `#aimc.weight<"name", 2x3xf32, sha256:…>` of a dump, by name. */
function weightsNamed(text: string): Map<string, WeightRef> {
  const found = new Map<string, WeightRef>();
  for (const match of text.matchAll(WEIGHT)) {
    const [, quoted = "", dims = "", elem = "", sha256 = ""] = match;
    const shape = dims.split("x").flatMap((d) => (d === "" ? [] : [Number(d)]));
    const weight = unquote(quoted);
    found.set(weight, { weight, type: { elem: elem as Elem, shape }, sha256 });
  }
  return found;
}

const WEIGHT = /#aimc\.weight<("[^"]*"), ((?:\d+x)*)(\w+), (?:sha256:)?((?:place:)?[0-9a-f]*)>/g;

/** A PEFT folder: https://huggingface.co/docs/peft/developer_guides/checkpoint */
async function writeLora(
  dir: string,
  { store, loraAlpha }: Program,
  mapping: Mapping,
  constants: ReadonlyMap<string, Constant>,
): Promise<void> {
  mkdirSync(dir);
  const names = new Set(mapping.lora.flatMap((l) => [l.a, l.b]));
  const own = new Map([...constants].filter(([name]) => names.has(name)));
  await writeTensors(join(dir, "adapter_model.safetensors"), own, store);
  const config = {
    bias: "none",
    fan_in_fan_out: false,
    lora_alpha: loraAlpha,
    lora_dropout: 0,
    peft_type: "LORA",
    r: mapping.lora[0]?.rank ?? 0,
    target_modules: [...new Set(mapping.lora.map((l) => l.module))].filter((m) => m !== "").sort(),
  };
  writeFileSync(join(dir, "adapter_config.json"), stableJson(config));
}
