/** Folders in the layout of ONNX's backend tests: `input_0.pb`, …, `output_0.pb`, … */

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fail, inFile } from "../diag/diagnostic.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { readTensorFile } from "./tensor-file.ts";

export interface SampleFolder {
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Recorded outputs, as many as the folder has. */
  readonly outputs: ReadonlyMap<string, Tensor>;
}

/**
 * Reads a folder for a graph with these input and output names. File K is the K-th of them, unless the
 * tensor in the file is itself called like one. `optional` inputs may be missing.
 * Errors: A423 when the folder or an input is missing.
 */
export function readSampleFolder(
  folder: string,
  inputNames: readonly string[],
  outputNames: readonly string[],
  optional: readonly string[] = [],
): SampleFolder {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    fail("A423", "there is no such folder of samples", inFile(folder), "check the path of --data");
  }
  const inputs = named(folder, "input", inputNames);
  const missing = inputNames.filter((name) => !inputs.has(name) && !optional.includes(name));
  if (missing.length > 0) {
    const text = `the folder has no ${missing.map((n) => `'${n}'`).join(", ")}`;
    fail("A423", text, inFile(folder), hintFor(folder, inputNames));
  }
  return { inputs, outputs: named(folder, "output", outputNames) };
}

function named(folder: string, stem: string, names: readonly string[]): Map<string, Tensor> {
  const found = new Map<string, Tensor>();
  names.forEach((byIndex, i) => {
    const path = join(folder, `${stem}_${i}.pb`);
    if (!existsSync(path)) return;
    for (const { name, value } of readTensorFile(path)) {
      found.set(names.includes(name) ? name : byIndex, value);
    }
  });
  return found;
}

function hintFor(folder: string, inputNames: readonly string[]): string {
  const inside = readdirSync(folder).find((f) => /^test_data_set_\d+$/.test(f));
  if (inside) return `did you mean ${join(folder, inside)}?`;
  const last = inputNames.length - 1;
  const files = last === 0 ? "input_0.pb" : `input_0.pb to input_${last}.pb`;
  return `the inputs ${inputNames.join(", ")} are ${files}, in this order`;
}
