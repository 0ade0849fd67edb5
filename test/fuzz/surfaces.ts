/**
 * What aimcc reads, and how each kind of it is damaged. A surface lays damaged files into a folder and says
 * which commands a user would then run.
 */

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import fc from "fast-check";
import { readPorts } from "../../src/onnx/read.ts";
import { type ByteEdit, byteEdits, damage } from "./bytes.ts";
import { commandLines } from "./command-lines.ts";
import type { ModelEdit } from "./grow.ts";
import { edited, modelEdits } from "./model.ts";
import { retold, type TextEdit, textEdits } from "./text.ts";

/** Plain data: written as JSON, it can be given back to the fuzzer. */
export interface Case {
  readonly surface: string;
  /** The file that is damaged: of the project, or `ready/...` of those that are made for the purpose. */
  readonly file: string;
  readonly edits: readonly unknown[];
}

/** Arguments of one run of aimcc. */
export type Command = readonly string[];

export interface Surface {
  readonly cases: fc.Arbitrary<Case>;
  /** Fills `given`, an empty folder; `ready` holds what `ready.ts` made. */
  lay(c: Case, given: string, ready: string): readonly Command[];
}

const modelsIn = (folder: string): string[] =>
  readdirSync(folder)
    .sort()
    .map((name) => join(folder, name, "model.onnx"));

/** Small models: whole ones and pieces of ones, the external weights among them; and every operator alone. */
const WHOLE = [
  ...modelsIn("test/corpus/fragments"),
  "test/corpus/deeploy_CCT_1_16_16_8/model.onnx",
  "test/corpus/ort_tr_attention_mha/model.onnx",
  "test/corpus/ort_tr_gemma3-vision-attention_fp32/model.onnx",
];
const OPERATORS = modelsIn("test/onnx-node-tests");
const anyModel = fc.oneof(fc.constantFrom(...WHOLE), fc.constantFrom(...OPERATORS));

const cases = (
  surface: string,
  files: fc.Arbitrary<string>,
  edits: fc.Arbitrary<unknown[]>,
): fc.Arbitrary<Case> => fc.record({ surface: fc.constant(surface), file: files, edits });

/** Files that are damaged as text or as bytes. */
const fileEdits = fc.oneof(textEdits, textEdits, byteEdits) as fc.Arbitrary<unknown[]>;

function damaged(bytes: Buffer, edits: readonly unknown[]): Buffer {
  const isText = (edits as readonly Partial<TextEdit & ByteEdit>[]).every((e) => e.b !== undefined);
  if (!isText) return damage(bytes, edits as readonly ByteEdit[]);
  return Buffer.from(retold(bytes.toString("utf8"), edits as readonly TextEdit[]));
}

const target = ["-t", "ahwa-lora"];

/** Compiles the model in the folder, and then holds it against ONNX Runtime. */
function compiled(given: string): readonly Command[] {
  return [
    [
      "compile",
      "given/model.onnx",
      ...target,
      "-o",
      "artifact",
      ...sizes(join(given, "model.onnx")),
    ],
    ["verify", "artifact", "--json"],
  ];
}

/** A small size for each dimension that the file leaves open. */
function sizes(model: string): string[] {
  let names: readonly string[] = [];
  try {
    names = readPorts(model).inputs.flatMap((p) => p.dims.filter((d) => d !== null));
  } catch {
    // The command will meet the same, and it is there that it is judged.
  }
  const free = [...new Set(names)].filter((n) => !n.includes("+") && !n.includes("\u0000"));
  return free.flatMap((n) => ["--dim", `${n}=3`]);
}

/** Everything beside the model too, and what a path to external data may lead to. */
function layModel(file: string, bytes: Uint8Array, given: string): void {
  const data = `${file}.data`;
  if (existsSync(data)) cpSync(data, join(given, basename(data)));
  mkdirSync(join(given, "folder"));
  symlinkSync("/etc/hostname", join(given, "link"));
  writeFileSync(join(given, "model.onnx"), bytes);
}

const model: Surface = {
  cases: cases("model", anyModel, modelEdits),
  lay(c, given) {
    layModel(c.file, edited(readFileSync(c.file), c.edits as readonly ModelEdit[]), given);
    return compiled(given);
  },
};

const bytes: Surface = {
  cases: cases("bytes", anyModel, byteEdits),
  lay(c, given) {
    layModel(c.file, damage(readFileSync(c.file), c.edits as readonly ByteEdit[]), given);
    return compiled(given);
  },
};

/** One file of a good artifact, then each command that reads it. */
const artifact: Surface = {
  cases: cases(
    "artifact",
    fc.constantFrom(
      ...["manifest.json", "mapping.json", "schedule.json", "schedule.json", "trace.json"],
      ...["tiles.safetensors", "digital.safetensors", "lora/adapter_model.safetensors"],
    ),
    fileEdits,
  ),
  lay(c, given, ready) {
    const copy = join(given, "artifact");
    cpSync(join(ready, "artifact"), copy, { recursive: true });
    writeFileSync(join(copy, c.file), damaged(readFileSync(join(copy, c.file)), c.edits));
    return [
      ["run", "given/artifact"],
      ["verify", "given/artifact", "--mode", "noisy", "--time", "1d"],
      ["inspect", "given/artifact", "--tiles"],
      ["inspect", "given/artifact", "--schedule"],
      ["report", "given/artifact", "-o", "report.html"],
      ["export", "given/artifact", "-o", "exported.onnx"],
    ];
  },
};

/** The text of a module of each level, then the passes that would come next. */
const ir: Surface = {
  cases: cases("ir", fc.nat(40).map(String), fileEdits),
  lay(c, given, ready) {
    const folder = join(ready, "artifact/ir");
    const dumps = readdirSync(folder)
      .filter((f) => f.endsWith(".mlir"))
      .sort();
    const index = Number(c.file) % dumps.length;
    const text = readFileSync(join(folder, dumps[index] ?? ""));
    cpSync(folder, given, { recursive: true });
    writeFileSync(join(given, "module.mlir"), damaged(text, c.edits));
    const next = dumps.slice(index + 1, index + 4).map((f) => f.replace(/^\d+-|\.mlir$/g, ""));
    const passes = next.length > 0 ? next.join(",") : "schedule";
    return [["opt", "given/module.mlir", "--passes", passes]];
  },
};

const yaml: Surface = {
  cases: cases(
    "yaml",
    fc.constantFrom("targets/ahwa-lora.yaml", "targets/hermes-64.yaml", "ready/policy.yaml"),
    fileEdits,
  ),
  lay(c, given, ready) {
    const isPolicy = c.file.startsWith("ready/");
    const text = readFileSync(isPolicy ? join(ready, basename(c.file)) : c.file);
    writeFileSync(join(given, "damaged.yaml"), damaged(text, c.edits));
    const small = join(ready, "model.onnx");
    const compile = (...args: string[]) => ["compile", small, ...args, "-o", "artifact"];
    return isPolicy
      ? [compile(...target, "--policy", "given/damaged.yaml")]
      : [
          ["targets", "show", "given/damaged.yaml"],
          compile("-t", "given/damaged.yaml"),
          ["run", "artifact", "--mode", "noisy", "--time", "1h"],
        ];
  },
};

const adapter: Surface = {
  cases: cases(
    "adapter",
    fc.constantFrom("adapter_config.json", "adapter_model.safetensors"),
    fileEdits,
  ),
  lay(c, given, ready) {
    cpSync(join(ready, "artifact/lora"), given, { recursive: true });
    const path = join(given, c.file);
    writeFileSync(path, damaged(readFileSync(path), c.edits));
    const small = join(ready, "model.onnx");
    return [["compile", small, ...target, "-o", "artifact", "--lora", "given"]];
  },
};

const tensor: Surface = {
  cases: cases(
    "tensor",
    fc.constantFrom("x.pb", "x.npy", "x.npz", "data/input_0.pb"),
    fc.oneof(byteEdits, fileEdits),
  ),
  lay(c, given, ready) {
    const path = join(given, c.file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, damaged(readFileSync(join(ready, "inputs", c.file)), c.edits));
    const name = readFileSync(join(ready, "input-name"), "utf8");
    const how = c.file.startsWith("data")
      ? ["--data", "given/data"]
      : ["--inputs", `${name}=given/${c.file}`];
    return [
      ["run", join(ready, "artifact"), ...how, "--out", "artifact"],
      ["verify", join(ready, "artifact"), ...how],
    ];
  },
};

/** Nothing is damaged but what is typed. */
const command: Surface = {
  cases: cases("command", fc.constant("none"), commandLines),
  lay: (c, _, ready) => [
    (c.edits as readonly string[]).map((a) => a.replaceAll("READY", resolve(ready))),
  ],
};

export const SURFACES: Readonly<Record<string, Surface>> = {
  ...{ model, bytes, artifact, ir, yaml, adapter, tensor, command },
};
