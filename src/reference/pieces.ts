/** Cuts an original model into pieces: runs of its nodes that read few bytes of weights. */

import { externalSlice } from "../onnx/external.ts";
import type { ModelProto, NodeProto, TensorProto } from "../onnx/proto.ts";
import { leftOut } from "../onnx/skeleton.ts";
import { headOf, isExternal } from "../onnx/tensor-proto.ts";
import { bytesInFile } from "../tensor/nibbles.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { readSlice } from "../weights/model-store.ts";

export interface Piece {
  readonly nodes: readonly NodeProto[];
  /** What its nodes read, but for what they compute themselves. */
  readonly constants: readonly TensorProto[];
  readonly reads: readonly string[];
  /** What its nodes compute. */
  readonly gives: readonly string[];
}

/** Types of ONNX that do not pass from session to session: text and bfloat16. */
const UNCARRIED = new Set([8, 16]);

/**
 * The model of a file, as `readSkeleton` gives it, in pieces of at most so many bytes of weights, or of one weight that
 * is larger; `fed` are given from outside. Null when it cannot be cut: nodes with graphs inside of them, nodes out of
 * order, sequences, and types that do not pass from session to session.
 */
export function piecesOf(
  { graph, functions }: ModelProto,
  path: string,
  fed: ReadonlySet<string>,
  bytes: number,
): readonly Piece[] | null {
  const all = graph?.node ?? [];
  const constants = constantsOf(graph, fed);
  const nodes = all.filter((n) => constantOf(n).length === 0);
  const isWhole =
    (functions ?? []).length > 0 ||
    (graph?.sparseInitializer ?? []).length > 0 ||
    !nodes.every(isPlain) ||
    [...constants.values()].some((t) => UNCARRIED.has(t.dataType ?? 0));
  if (isWhole || !areInOrder(nodes, [...fed, ...constants.keys()])) return null;
  const pieces = cut(nodes, constants, path, bytes);
  const computed = new Set(pieces.flatMap((p) => p.gives));
  return (graph?.output ?? []).every((o) => computed.has(o.name ?? "")) ? pieces : null;
}

/** The constants of a graph by name, but for those that are given from outside. */
export const constantsOf = (
  graph: ModelProto["graph"],
  fed: ReadonlySet<string>,
): ReadonlyMap<string, TensorProto> =>
  new Map(
    [...(graph?.initializer ?? []), ...(graph?.node ?? []).flatMap(constantOf)]
      .map((t) => [t.name ?? "", t] as const)
      .filter(([name]) => !fed.has(name)),
  );

/** Whether every node reads what is given or what nodes before it compute. */
function areInOrder(nodes: readonly NodeProto[], given: readonly string[]): boolean {
  const known = new Set([...given, ""]);
  return nodes.every(({ input, output }) => {
    if (!(input ?? []).every((name) => known.has(name))) return false;
    for (const name of output ?? []) known.add(name);
    return true;
  });
}

function cut(
  nodes: readonly NodeProto[],
  constants: ReadonlyMap<string, TensorProto>,
  path: string,
  bytes: number,
): readonly Piece[] {
  const pieces: Piece[] = [];
  let open = new Growing(constants);
  for (const node of nodes) {
    const more = open.more(node, path);
    if (open.nodes.length > 0 && more > 0 && open.bytes + more > bytes) {
      pieces.push(open.piece());
      open = new Growing(constants);
    }
    open.add(node, path);
  }
  if (open.nodes.length > 0) pieces.push(open.piece());
  return pieces;
}

/** The tensor of a Constant node, by the name of its result. */
function constantOf({ opType, domain, attribute, output }: NodeProto): TensorProto[] {
  const value = attribute?.find((a) => a.name === "value")?.t;
  return opType === "Constant" && !domain && value ? [{ ...value, name: output?.[0] ?? "" }] : [];
}

/** No graphs inside, and no values but tensors. */
const isPlain = ({ opType, attribute }: NodeProto): boolean =>
  !/Sequence|Optional|^String/.test(opType ?? "") &&
  (attribute ?? []).every((a) => {
    const makes = opType === "Cast" && a.name === "to" && UNCARRIED.has(Number(a.i));
    const held = a.t ? isExternal(a.t) || leftOut(a.t, "") !== null : false;
    return !a.g && !a.graphs?.length && !makes && !held;
  });

/** A piece in the making. */
class Growing {
  readonly nodes: NodeProto[] = [];
  private readonly all: ReadonlyMap<string, TensorProto>;
  private readonly used = new Map<string, TensorProto>();
  private readonly reads = new Set<string>();
  private readonly gives = new Set<string>();
  bytes = 0;

  constructor(constants: ReadonlyMap<string, TensorProto>) {
    this.all = constants;
  }

  /** Bytes of weights that the node would add. */
  more(node: NodeProto, path: string): number {
    return this.newOf(node).reduce((n, t) => n + bytesOf(t, path), 0);
  }

  add(node: NodeProto, path: string): void {
    this.bytes += this.more(node, path);
    for (const t of this.newOf(node)) this.used.set(t.name ?? "", t);
    for (const name of node.input ?? []) {
      if (name !== "" && !this.all.has(name) && !this.gives.has(name)) this.reads.add(name);
    }
    for (const name of node.output ?? []) if (name !== "") this.gives.add(name);
    this.nodes.push(node);
  }

  piece(): Piece {
    const { nodes, used, reads, gives } = this;
    return { nodes, constants: [...used.values()], reads: [...reads], gives: [...gives] };
  }

  /** Constants that the node reads and the piece does not have yet. */
  private newOf({ input }: NodeProto): TensorProto[] {
    const names = new Set(input ?? []);
    return [...names].flatMap((n) => (this.used.has(n) ? [] : (this.all.get(n) ?? [])));
  }
}

function bytesOf(proto: TensorProto, path: string): number {
  const { elem, shape } = headOf(proto, path);
  return bytesInFile(elem, sizeOf(shape));
}

/** Larger values stay in their file: a message of protobuf ends at 2 GiB. */
const LARGEST_INSIDE = 2 ** 30;

/** The tensor with its values inside, but for those in a data file that is at hand. */
export function withValues(proto: TensorProto, path: string, atHand: boolean): TensorProto {
  if (isExternal(proto) && atHand) return proto;
  const slice = isExternal(proto)
    ? externalSlice(proto, headOf(proto, path), path)
    : leftOut(proto, path);
  if (!slice || slice.length > LARGEST_INSIDE) return proto;
  const rawData = new Uint8Array(slice.length);
  readSlice(slice, rawData);
  const { name = "", dataType = 0, dims = [] } = proto;
  return { name, dataType, dims, rawData };
}
