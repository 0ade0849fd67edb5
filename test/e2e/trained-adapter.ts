/** A folder with an adapter that changes what a model answers. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { openSafetensors, writeSafetensors } from "../../src/weights/safetensors.ts";
import { place } from "./cli.ts";

/** Numbers in (-1, 1) that look like nothing in particular. */
const wave = (count: number, phase: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.sin(1 + phase + 1.7 * i));

/** The fresh adapter of a compilation, its B no longer zero: as training would leave it. */
export function trained(fresh: string): string {
  const folder = join(place(), "adapter");
  mkdirSync(folder);
  const config = readFileSync(join(fresh, "lora", "adapter_config.json"), "utf8");
  writeFileSync(join(folder, "adapter_config.json"), config);
  const before = openSafetensors(join(fresh, "lora", "adapter_model.safetensors"));
  writeSafetensors(join(folder, "adapter_model.safetensors"), before.specs, ({ name, shape }) => {
    if (name.includes("lora_A")) return before.load(name);
    const size = shape.reduce((a, b) => a * b, 1);
    return fromNumbers(
      "f32",
      shape,
      wave(size, name.length).map((v) => 0.05 * v),
    );
  });
  return folder;
}
