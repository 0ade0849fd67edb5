/**
 * Reads an artifact directory: the only thing that the simulator knows about a model. Everything is
 * checked here, so that what runs later may rely on it.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Manifest } from "../artifact/manifest.ts";
import { Mapping } from "../artifact/mapping.ts";
import { Schedule } from "../artifact/schedule.ts";
import { inFile } from "../diag/diagnostic.ts";
import { Target } from "../target/schema.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { lazySafetensors } from "../weights/tensor-file.ts";
import { checkSchedule } from "./check-schedule.ts";
import { checkWeights } from "./check-weights.ts";
import { refuse, type Source } from "./faults.ts";

type Tensors = ReadonlyMap<string, Tensor>;

/** Plain data: it can be sent to a thread as it is. */
export interface Artifact extends Source {
  readonly manifest: Manifest;
  readonly target: Target;
  readonly mapping: Mapping;
  readonly schedule: Schedule;
  /** False when it only says where values go: `tiles` and `constants` are then empty. */
  readonly images: boolean;
  /** What is programmed into the tiles. */
  readonly tiles: Tensors;
  /** What digital kernels read. */
  readonly constants: Tensors;
}

/** Throws A401 and A402 for files, A403 to A407 for what they say. */
export function loadArtifact(directory: string): Artifact {
  const manifest = read(directory, "manifest.json", Manifest);
  const images = manifest.images !== false;
  const artifact: Artifact = {
    directory,
    model: manifest.model.path,
    manifest,
    target: parsed(directory, "manifest.json", Target, manifest.target),
    mapping: read(directory, "mapping.json", Mapping),
    schedule: read(directory, "schedule.json", Schedule),
    images,
    ...(images ? imagesIn(directory) : { tiles: new Map(), constants: new Map() }),
  };
  checkWeights(artifact);
  checkSchedule(artifact);
  return artifact;
}

export function read<T>(directory: string, file: string, schema: z.ZodType<T>): T {
  const path = join(directory, file);
  if (!existsSync(path)) refuse("A401", `the artifact has no ${file}`, inFile(path));
  let data: unknown;
  try {
    data = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    refuse("A401", `${file} is not JSON: ${(error as Error).message}`, inFile(path));
  }
  const version = z.object({ version: z.unknown() }).safeParse(data).data?.version;
  if (version !== undefined && version !== 1) {
    refuse("A402", `${file} has format version ${version}, this simulator reads 1`, inFile(path));
  }
  return parsed(directory, file, schema, data);
}

function parsed<T>(directory: string, file: string, schema: z.ZodType<T>, data: unknown): T {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue?.path.join(".") || "the whole file";
  refuse("A401", `${file}: ${where}: ${issue?.message}`, inFile(join(directory, file)));
}

/** Errors: A412 when the artifact has no values to compute with. */
export function requireImages(artifact: Artifact): void {
  if (artifact.images) return;
  const text = "the artifact has no tile images: it was compiled with --no-tiles";
  refuse("A412", text, inFile(artifact.directory));
}

/** What the files of a directory hold. Of constants, `keep` bytes stay in memory when they have been looked at. */
export const imagesIn = (
  directory: string,
  keep = Infinity,
): Pick<Artifact, "tiles" | "constants"> => ({
  // Each block is looked at once.
  tiles: tensors(directory, "tiles.safetensors", 0),
  constants: tensors(directory, "digital.safetensors", keep),
});

function tensors(directory: string, file: string, keep: number): Tensors {
  const path = join(directory, file);
  if (!existsSync(path)) refuse("A401", `the artifact has no ${file}`, inFile(path));
  return lazySafetensors(path, keep);
}
