/** A level of an artifact's program, with the constants that it names. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { originalModel } from "../compare/reference.ts";
import { fail, inFile } from "../diag/diagnostic.ts";
import type { Level, Module } from "../ir/op.ts";
import { parseModule } from "../ir/parse.ts";
import type { Program } from "../lower/ort-engine.ts";
import { readModel } from "../onnx/read.ts";
import type { Artifact } from "../sim/load.ts";
import { dumpStore } from "./dump-store.ts";

/** Errors: A007 when the artifact has no dump of the level, A431 and A432 for the original model. */
export function programOf(artifact: Artifact, level: Level, model?: string): Program {
  const dir = artifact.directory;
  const { dims, inputs } = artifact.manifest.model;
  const set = Object.fromEntries(inputs.flatMap((p) => (p.fixed ? [[p.name, p.fixed]] : [])));
  const { store } = readModel(originalModel(artifact.manifest, model), { dims, set });
  const constants = join(dir, "ir", "constants.safetensors");
  return { module: moduleOf(dir, level), store: dumpStore(store, constants, dir) };
}

/** The last dump of a level. Errors: A007 when the artifact has none. */
function moduleOf(dir: string, level: Level): Module {
  const folder = join(dir, "ir");
  const files = readdirSync(folder).filter((f) => f.endsWith(".mlir"));
  for (const file of files.sort().reverse()) {
    const text = readFileSync(join(folder, file), "utf8");
    if (!text.includes(`aimc.level = "${level}"`)) continue;
    return parseModule(text, join(folder, file));
  }
  const hint = "compile the model again";
  return fail("A007", `the artifact has no dump of level ${level}`, inFile(folder), hint);
}
