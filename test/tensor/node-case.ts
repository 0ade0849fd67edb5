/** Reading ONNX's single-operator conformance tests, and running their graphs with the kernels. */

import { readdirSync, readFileSync } from "node:fs";
import { type GraphNode, kindOf, nodeOf } from "../../src/onnx/graph.ts";
import { decodeModel, onnx } from "../../src/onnx/proto.ts";
import { tensorOf } from "../../src/onnx/tensor-proto.ts";
import { kernelOf } from "../../src/tensor/kernels/index.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

export interface NodeCase {
  readonly nodes: readonly GraphNode[];
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
}

function tensors(folder: string, kind: "input" | "output", names: readonly string[]) {
  const files = new Set(readdirSync(folder));
  const found = new Map<string, Tensor>();
  names.forEach((name, i) => {
    const file = `${kind}_${i}.pb`;
    if (!files.has(file)) return;
    const path = `${folder}/${file}`;
    found.set(name, tensorOf(onnx.TensorProto.decode(readFileSync(path)), path));
  });
  return found;
}

export function readCase(folder: string): NodeCase {
  const path = `${folder}/model.onnx`;
  const graph = decodeModel(readFileSync(path), path).graph ?? {};
  const data = `${folder}/test_data_set_0`;
  const names = (ports: readonly { name?: string | null }[] | null | undefined) =>
    (ports ?? []).map((p) => p.name ?? "");
  return {
    nodes: (graph.node ?? []).map((n, i) => nodeOf(n, i, path, (proto) => tensorOf(proto, path))),
    inputs: tensors(data, "input", names(graph.input)),
    outputs: tensors(data, "output", names(graph.output)),
  };
}

/** Runs the nodes in order; every tensor of the graph by name. */
export function runCase({ nodes, inputs }: NodeCase): ReadonlyMap<string, Tensor> {
  const values = new Map(inputs);
  for (const node of nodes) {
    const kernel = kernelOf(kindOf(node));
    if (!kernel) throw new Error(`no kernel for ${kindOf(node)}`);
    const operands = node.inputs.map((name) => values.get(name) ?? null);
    const attrs = { num_outputs: node.outputs.length, ...node.attrs };
    const results = kernel({ inputs: operands, attrs, outShapes: null });
    node.outputs.forEach((name, i) => {
      const result = results[i];
      if (name !== "" && !result) throw new Error(`${kindOf(node)} gives no result ${i}`);
      if (result) values.set(name, result);
    });
  }
  return values;
}
