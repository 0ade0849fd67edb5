/** In which module of the network a node is, as PyTorch's exporter notes beside nodes that it gives no names. */

import type { GraphProto, NodeProto } from "./proto.ts";

/**
 * `model.layers.0.mlp` by the name of the node. The notes list the path of every module around the node, from the
 * outside, and last its name in the traced program: as a list `['', 'model', 'model.layers.0', 'mul_3']`
 * (name_scopes), or as `: Model/model: Inner/…/mul_3: aten.mul` (namespace).
 */
export function scopesOf(graph: GraphProto): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const nodes: readonly NodeProto[] = graph.node ?? [];
  for (const [i, node] of nodes.entries()) {
    const scope = node.scopes && scopeIn(node.scopes);
    if (scope) found.set(node.name || `${node.opType ?? ""}_${i}`, scope);
  }
  return found;
}

function scopeIn(notes: Readonly<Record<string, string>>): string | undefined {
  const list = notes["pkg.torch.onnx.name_scopes"];
  const names = list
    ? [...list.matchAll(/'([^']*)'/g)].map(([, name = ""]) => name)
    : (notes["namespace"] ?? "").split("/").map((part) => part.split(":")[0]?.trim() ?? "");
  return names.slice(0, -1).at(-1);
}
