/** Writes lowered models: the noise of the tiles becomes random nodes. */

import type { Module } from "../ir/op.ts";
import { exportModule } from "../onnx/export.ts";
import { decodeModel, type NodeProto, onnx } from "../onnx/proto.ts";
import type { WeightStore } from "../weights/store.ts";
import { NOISE } from "./analog.ts";

/** The bytes of an ONNX file. Each random node has a seed of its own, so a run can be repeated. */
export function lowerToOnnx(module: Module, store: WeightStore, seed: number): Uint8Array {
  const model = decodeModel(exportModule(module, store), "the lowered model");
  let count = 0;
  const node = (model.graph?.node ?? []).map((n) =>
    n.name?.startsWith(NOISE) ? random(n, seed * 65537 + ++count) : n,
  );
  const changed = { ...model, graph: { ...model.graph, node } };
  return onnx.ModelProto.encode(changed).finish();
}

const random = (node: NodeProto, seed: number): NodeProto => ({
  ...node,
  opType: "RandomNormalLike",
  attribute: [{ name: "seed", type: onnx.AttributeProto.AttributeType.FLOAT, f: seed }],
});
