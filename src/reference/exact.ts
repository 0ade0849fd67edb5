/**
 * What a model defines, apart from what it permits. `accuracy_level` of a product with small integers
 * (com.microsoft.MatMulNBits) lets a runtime round the product's other side, down to 8 bits by blocks. Whether and
 * how is the runtime's choice, and ONNX Runtime's depends on the processor: the judge does not use it.
 */

import {
  type AttributeProto,
  decodeModel,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  onnx,
  readFileOrFail,
} from "../onnx/proto.ts";
import { readSkeleton } from "../onnx/skeleton.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { openBeside } from "./beside.ts";
import { openModel, type Session } from "./run.ts";

const PERMISSION = "accuracy_level";

/** Node by node as the file says: ONNX Runtime's optimiser rounds the inputs of such products too. */
const PLAIN = { optimisation: "disabled" } as const;

/** Opens a model file, or the bytes of one without external data, to compute what it defines. */
export async function openExactly(source: string | Uint8Array): Promise<Session> {
  if (typeof source !== "string") return openModel(exactBytes(source), PLAIN);
  if (!permits(decodeModel(readSkeleton(source).message, source))) return openModel(source, PLAIN);
  const model = withoutPermissions(
    decodeModel(readFileOrFail(source, "A101", "the model"), source),
  );
  const bytes = onnx.ModelProto.encode(model).finish();
  return openBeside(source, model, bytes, { ...PLAIN, copyOf: source });
}

/** Runs a model once, as it defines. */
export async function runExactly(
  source: string | Uint8Array,
  feeds: ReadonlyMap<string, Tensor>,
): Promise<ReadonlyMap<string, Tensor>> {
  const session = await openExactly(source);
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}

/** The bytes of a model without permissions to round; the same bytes when it has none. */
export function exactBytes(bytes: Uint8Array, path = "the model"): Uint8Array {
  const model = decodeModel(bytes, path);
  return permits(model) ? onnx.ModelProto.encode(withoutPermissions(model)).finish() : bytes;
}

/** The model without permissions to round; the same model when it has none. */
export const strictModel = (model: ModelProto): ModelProto =>
  permits(model) ? withoutPermissions(model) : model;

const permits = ({ graph, functions }: ModelProto): boolean =>
  graphPermits(graph) || (functions ?? []).some((f) => (f.node ?? []).some(nodePermits));

const graphPermits = (graph: GraphProto | null | undefined): boolean =>
  (graph?.node ?? []).some(nodePermits);

const nodePermits = ({ attribute }: NodeProto): boolean =>
  (attribute ?? []).some(
    (a) => a.name === PERMISSION || [a.g, ...(a.graphs ?? [])].some(graphPermits),
  );

function withoutPermissions(model: ModelProto): ModelProto {
  const functions = (model.functions ?? []).map((f) => ({
    ...f,
    node: (f.node ?? []).map(strictNode),
  }));
  const graph = strictGraph(model.graph ?? {});
  return { ...model, graph, functions };
}

const strictGraph = (graph: GraphProto): GraphProto => ({
  ...graph,
  node: (graph.node ?? []).map(strictNode),
});

const strictNode = (node: NodeProto): NodeProto =>
  nodePermits(node)
    ? {
        ...node,
        attribute: (node.attribute ?? []).filter((a) => a.name !== PERMISSION).map(strictAttribute),
      }
    : node;

const strictAttribute = (a: AttributeProto): AttributeProto => ({
  ...a,
  ...(a.g && { g: strictGraph(a.g) }),
  ...(a.graphs && { graphs: a.graphs.map(strictGraph) }),
});
