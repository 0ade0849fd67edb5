/**
 * Writes a program as an artifact directory: the contract between the compiler and whoever runs or
 * reads its result. Equal programs give equal bytes: nothing of the clock or the machine goes in.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Manifest } from "../artifact/manifest.ts";
import { type MappedWeight, Mapping } from "../artifact/mapping.ts";
import { Schedule } from "../artifact/schedule.ts";
import { type Diagnostic, InputError } from "../diag/diagnostic.ts";
import { weightAttr } from "../ir/attrs.ts";
import { isTensorAttr, type Module, type WeightRef } from "../ir/op.ts";
import { unquote } from "../ir/parse-attr.ts";
import { type Elem, toBytes } from "../tensor/tensor.ts";
import { createSafetensors, type TensorSpec } from "../weights/safetensors.ts";
import { readElements, type WeightStore } from "../weights/store.ts";
import { type Constant, constantsOf } from "./constants.ts";
import { stableJson } from "./json.ts";
import { launchesOf, mappingOf } from "./mapping.ts";
import {
  copyConstant,
  countOdd,
  type Grid,
  imageSpecs,
  type Read,
  writeImages,
} from "./tile-images.ts";

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
  /** Whether to write the values of weights and constants, or only where they go. */
  readonly images: boolean;
}

/** Fills an empty directory. */
export function writeArtifact(dir: string, program: Program): void {
  const { module, schedule, store } = program;
  const mapping = mappingOf(module, schedule, store);
  writeFileSync(join(dir, "manifest.json"), stableJson(Manifest.parse(program.manifest)));
  writeFileSync(join(dir, "mapping.json"), stableJson(Mapping.parse(mapping)));
  writeFileSync(join(dir, "schedule.json"), stableJson(Schedule.parse(schedule)));
  const constants = constantsOf(module, schedule);
  if (program.images) {
    writeTiles(join(dir, "tiles.safetensors"), program, mapping);
    writeTensors(join(dir, "digital.safetensors"), constants, store);
  }
  writeDumps(join(dir, "ir"), program);
  if (mapping.lora.length > 0) writeLora(join(dir, "lora"), program, mapping, constants);
}

/** What is programmed into tiles, weight by weight. Errors: A209 for weights that no device can hold. */
function writeTiles(path: string, program: Program, mapping: Mapping): void {
  const { module, schedule, store } = program;
  const launches = launchesOf(module, schedule);
  const grids = mapping.weights.map((weight) => {
    const op = launches.get(weight.name);
    const ref = op && weightAttr(op, "weight");
    if (!ref || isTensorAttr(ref)) throw new Error(`${weight.name} is not a named matrix`);
    return {
      ref,
      weight,
      first: weight.rows * weight.cols * (weight.slice ?? 0),
      grid: gridOf(weight),
    };
  });
  const file = createSafetensors(
    path,
    grids.flatMap(({ grid }) => imageSpecs(grid)),
  );
  const faults: Diagnostic[] = [];
  try {
    for (const { ref, weight, first, grid } of grids) {
      const read: Read = (start, into) => readElements(store, ref, first + start, into);
      const finite = writeImages(grid, read, file);
      if (!finite) faults.push(unprogrammable(weight, countOdd(grid, read), program));
    }
    if (faults.length > 0) throw new InputError(faults);
    file.finish();
  } finally {
    file.close();
  }
}

function unprogrammable(
  { name, nodes }: MappedWeight,
  { infinite, nan }: ReturnType<typeof countOdd>,
  { manifest }: Program,
): Diagnostic {
  const counts = [
    ...(nan > 0 ? [`${nan} NaN`] : []),
    ...(infinite > 0 ? [`${infinite} infinite`] : []),
  ];
  const values = nan + infinite === 1 ? "value" : "values";
  return {
    code: "A209",
    text: `weight '${name}' has ${counts.join(" and ")} ${values}, which no tile can hold`,
    at: { kind: "node", model: manifest.model.path, nodes },
    hint: "training went wrong, or a half float overflowed; --policy all-digital takes the model as it is",
  };
}

function gridOf(weight: MappedWeight): Grid {
  const { rows, cols, transposed, elem, rowSplits, colSplits, values, scales } = weight;
  return {
    elem: elem as Elem,
    stored: transposed ? [cols, rows] : [rows, cols],
    transposed,
    rowSplits,
    colSplits,
    values,
    scales,
  };
}

function writeTensors(
  path: string,
  constants: ReadonlyMap<string, Constant>,
  store: WeightStore,
): void {
  const specs = [...constants].map(([name, c]): TensorSpec => {
    const { elem, shape } = isTensorAttr(c) ? c : c.type;
    return { name, elem, shape };
  });
  const file = createSafetensors(path, specs);
  try {
    for (const spec of specs) {
      const value = constants.get(spec.name);
      if (!value) throw new Error(`${spec.name} is asked for but was never promised`);
      if (isTensorAttr(value)) file.write(spec.name, 0, toBytes(value));
      else copyConstant(spec, (start, into) => readElements(store, value, start, into), file);
    }
    file.finish();
  } finally {
    file.close();
  }
}

/** The dumps, and the constants that they name but the model's file does not have. */
function writeDumps(dir: string, { dumps, store, images }: Program): void {
  mkdirSync(dir);
  for (const { file, text } of dumps) writeFileSync(join(dir, file), text);
  const [read, ...later] = dumps.map(({ text }) => weightsNamed(text));
  const inFile = new Set(read?.keys());
  const computed = new Map(later.flatMap((refs) => [...refs]).filter(([n]) => !inFile.has(n)));
  if (images) writeTensors(join(dir, "constants.safetensors"), computed, store);
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
function writeLora(
  dir: string,
  { store, loraAlpha }: Program,
  mapping: Mapping,
  constants: ReadonlyMap<string, Constant>,
): void {
  mkdirSync(dir);
  const names = new Set(mapping.lora.flatMap((l) => [l.a, l.b]));
  const own = new Map([...constants].filter(([name]) => names.has(name)));
  writeTensors(join(dir, "adapter_model.safetensors"), own, store);
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
