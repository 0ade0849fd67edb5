/**
 * Writes a program as an artifact directory: the contract between the compiler and whoever runs or
 * reads its result. Equal programs give equal bytes: nothing of the clock or the machine goes in.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Manifest } from "../artifact/manifest.ts";
import { Mapping } from "../artifact/mapping.ts";
import { Schedule } from "../artifact/schedule.ts";
import { weightAttr } from "../ir/attrs.ts";
import { isTensorAttr, type Module, type WeightRef } from "../ir/op.ts";
import { unquote } from "../ir/parse-attr.ts";
import type { Elem, Tensor } from "../tensor/tensor.ts";
import { type TensorSpec, writeSafetensors } from "../weights/safetensors.ts";
import type { WeightStore } from "../weights/store.ts";
import { blockOf, columnScales } from "./blocks.ts";
import { type Constant, constantsOf } from "./constants.ts";
import { stableJson } from "./json.ts";
import { launchesOf, mappingOf } from "./mapping.ts";

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
}

/** Fills an empty directory. */
export function writeArtifact(dir: string, program: Program): void {
  const { module, schedule, store } = program;
  const mapping = mappingOf(module, schedule, store);
  writeFileSync(join(dir, "manifest.json"), stableJson(Manifest.parse(program.manifest)));
  writeFileSync(join(dir, "mapping.json"), stableJson(Mapping.parse(mapping)));
  writeFileSync(join(dir, "schedule.json"), stableJson(Schedule.parse(schedule)));
  writeTiles(join(dir, "tiles.safetensors"), program, mapping);
  const constants = constantsOf(module, schedule);
  writeTensors(join(dir, "digital.safetensors"), entriesOf(constants, store));
  writeDumps(join(dir, "ir"), program);
  if (mapping.lora.length > 0) writeLora(join(dir, "lora"), program, mapping, constants);
}

/** Streams block after block; a weight is loaded once for all of its blocks. */
function writeTiles(path: string, { module, schedule, store }: Program, mapping: Mapping): void {
  const launches = launchesOf(module, schedule);
  const load = lastLoaded(store);
  const entries = mapping.weights.flatMap((weight) => {
    const op = launches.get(weight.name);
    const ref = op && weightAttr(op, "weight");
    if (!ref || isTensorAttr(ref)) throw new Error(`${weight.name} is not a named matrix`);
    return weight.blocks.flatMap(({ rows, cols, values, scales }): Entry[] => {
      const block = () => blockOf({ ...weight, value: load(ref) }, rows, cols);
      const size = [rows[1] - rows[0], cols[1] - cols[0]] as const;
      return [
        { name: values, elem: ref.type.elem, shape: size, load: block },
        { name: scales, elem: "f32", shape: [size[1]], load: () => columnScales(block()) },
      ];
    });
  });
  writeTensors(path, entries);
}

interface Entry extends TensorSpec {
  readonly load: () => Tensor;
}

function writeTensors(path: string, entries: readonly Entry[]): void {
  const loads = new Map(entries.map((e) => [e.name, e.load]));
  const specs = entries.map(({ name, elem, shape }) => ({ name, elem, shape }));
  writeSafetensors(path, specs, ({ name }) => {
    const load = loads.get(name);
    if (!load) throw new Error(`${name} is asked for but was never promised`);
    return load();
  });
}

/** Remembers the last weight: blocks are written weight by weight. */
function lastLoaded(store: WeightStore): (ref: WeightRef) => Tensor {
  let last: { readonly name: string; readonly value: Tensor } | undefined;
  return (ref) => {
    if (last?.name !== ref.weight) last = { name: ref.weight, value: store.load(ref) };
    return last.value;
  };
}

const entriesOf = (constants: ReadonlyMap<string, Constant>, store: WeightStore): Entry[] =>
  [...constants].map(([name, c]) =>
    isTensorAttr(c)
      ? { name, elem: c.elem, shape: c.shape, load: () => c }
      : { name, ...c.type, load: () => store.load(c) },
  );

/** The dumps, and the constants that they name but the model's file does not have. */
function writeDumps(dir: string, { dumps, store }: Program): void {
  mkdirSync(dir);
  for (const { file, text } of dumps) writeFileSync(join(dir, file), text);
  const [read, ...later] = dumps.map(({ text }) => weightsNamed(text));
  const inFile = new Set(read?.keys());
  const computed = new Map(later.flatMap((refs) => [...refs]).filter(([n]) => !inFile.has(n)));
  writeTensors(join(dir, "constants.safetensors"), entriesOf(computed, store));
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
  writeTensors(join(dir, "adapter_model.safetensors"), entriesOf(own, store));
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
