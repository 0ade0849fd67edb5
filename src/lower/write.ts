/** Writes lowered models: the noise of the tiles becomes random nodes. */

import type { Module } from "../ir/op.ts";
import { exportModuleToFile } from "../onnx/export.ts";
import { type ModelProto, type NodeProto, onnx } from "../onnx/proto.ts";
import type { WeightStore } from "../weights/store.ts";
import { NOISE } from "./chip-source.ts";

/** Operators that are new in opsets 22 and 23. */
const NEWER = new Set(["Attention", "RMSNormalization", "RotaryEmbedding"]);

/**
 * Writes `path`, and `path.data` beside it when the weights are too large for one message. Each random node has a seed of its own, so a run can be repeated. With random
 * nodes the file asks for opset 21 where it can: ONNX Runtime (1.30) has none of the random operators
 * as opset 22 declares them, and nothing else that we write changed its meaning in between.
 */
export const writeLowered = (
  module: Module,
  store: WeightStore,
  seed: number,
  path: string,
): void => exportModuleToFile(module, store, path, { change: (m) => withNoise(m, seed) });

function withNoise(model: ModelProto, seed: number): ModelProto {
  let count = 0;
  const node = (model.graph?.node ?? []).map((n) =>
    n.name?.startsWith(NOISE) ? random(n, seed * 65537 + ++count) : n,
  );
  const lower = count > 0 && !node.some((n) => !n.domain && NEWER.has(n.opType ?? ""));
  const opsetImport = (model.opsetImport ?? []).map((o) =>
    lower && !o.domain ? { ...o, version: 21 } : o,
  );
  return { ...model, opsetImport, graph: { ...model.graph, node } };
}

const random = (node: NodeProto, seed: number): NodeProto => ({
  ...node,
  opType: "RandomNormalLike",
  attribute: [{ name: "seed", type: onnx.AttributeProto.AttributeType.FLOAT, f: seed }],
});
