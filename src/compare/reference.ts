/**
 * The reference of a verification: the original file, and with a trained adapter the same graph with the
 * side-branches written into it. Nothing here knows the compiler.
 */

import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Manifest } from "../artifact/manifest.ts";
import type { LoraBranch, Mapping } from "../artifact/mapping.ts";
import { fail, inFile } from "../diag/diagnostic.ts";
import { externalFiles } from "../onnx/external.ts";
import { decodeModel, type GraphProto, type NodeProto, onnx } from "../onnx/proto.ts";
import { toProto } from "../onnx/tensor-proto.ts";
import { fromNumbers } from "../tensor/convert.ts";
import type { Elem, Tensor } from "../tensor/tensor.ts";

/**
 * The file that the artifact was compiled from: `given`, or where the manifest says it was.
 * Errors: A431 when it is not there, A432 when it is another file.
 */
export function originalModel(manifest: Manifest, given?: string): string {
  const { path, sha256 } = manifest.model;
  const file = given ?? path;
  if (!existsSync(file)) {
    const hint = "say where the original model is with --model, or run from where it was compiled";
    fail("A431", "the original model is not where it was", inFile(file), hint);
  }
  const found = createHash("sha256").update(readFileSync(file)).digest("hex");
  if (found !== sha256) {
    const hint = "compile it again, or give the file it was compiled from with --model";
    fail("A432", "this is not the file that the artifact was compiled from", inFile(file), hint);
  }
  return file;
}

export const trainedBranches = (mapping: Mapping): LoraBranch[] =>
  mapping.lora.filter((branch) => branch.trained);

/**
 * A copy of the model with y + scale (x Aᵀ) Bᵀ in place of the result of every adapted linear; gives the
 * copy's path. `tensors` holds A [rank, in] and B [out, rank] by the mapping's names.
 * Errors: A433 when a branch does not know its place in the file.
 */
export function withBranches(
  path: string,
  branches: readonly LoraBranch[],
  tensors: ReadonlyMap<string, Tensor>,
): string {
  const model = decodeModel(readFileSync(path), path);
  const graph = model.graph as GraphProto;
  let nodes = [...(graph.node ?? [])];
  const initializer = [...(graph.initializer ?? [])];
  for (const branch of branches) {
    const { input, output } = branch;
    const [a, b] = [tensors.get(branch.a), tensors.get(branch.b)];
    if (input === undefined || output === undefined || !a || !b) {
      const text = `the side-branch of '${branch.module}' has no place in the original file`;
      return fail("A433", text, inFile(path), "verify an artifact without this adapter");
    }
    nodes = addBranch(nodes, input, output);
    initializer.push(
      toProto(`${output}/lora_A`, swapped(a)),
      toProto(`${output}/lora_B`, swapped(b)),
      toProto(`${output}/lora_scale`, fromNumbers(a.elem as Elem, [], [branch.scale])),
    );
  }
  const folder = mkdtempSync(join(tmpdir(), "aimcc-"));
  for (const [location, file] of externalFiles(graph, path)) bring(file, join(folder, location));
  const copy = join(folder, "model.onnx");
  const changed = { ...model, graph: { ...graph, node: nodes, initializer } };
  writeFileSync(copy, onnx.ModelProto.encode(changed).finish());
  return copy;
}

/** The node that made `output` now makes its base, and the branch behind it makes `output`. */
function addBranch(nodes: readonly NodeProto[], input: string, output: string): NodeProto[] {
  const base = `${output}/base`;
  const low = `${output}/low`;
  const high = `${output}/high`;
  const scaled = `${output}/scaled`;
  const node = (opType: string, inputs: string[], result: string): NodeProto => ({
    opType,
    name: `${result}/${opType}`,
    input: inputs,
    output: [result],
  });
  const branch = [
    node("MatMul", [input, `${output}/lora_A`], low),
    node("MatMul", [low, `${output}/lora_B`], high),
    node("Mul", [high, `${output}/lora_scale`], scaled),
    node("Add", [base, scaled], output),
  ];
  return nodes.flatMap((n) =>
    n.output?.includes(output)
      ? [{ ...n, output: n.output.map((o) => (o === output ? base : o)) }, ...branch]
      : [n],
  );
}

/** [m, n] to [n, m]. */
function swapped(t: Tensor): Tensor {
  const [m = 0, n = 0] = t.shape;
  const data = t.data.slice();
  const from = t.data as Float32Array;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) (data as Float32Array)[j * m + i] = from[i * n + j] as number;
  }
  return { elem: t.elem, shape: [n, m], data };
}

function bring(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
