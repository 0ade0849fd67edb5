/** The graph of a file in plain data, before it becomes a module: what upgrading works on. */

import { fail } from "../diag/diagnostic.ts";
import type { Attr } from "../ir/op.ts";
import type { Elem, Tensor, TensorType } from "../tensor/tensor.ts";
import { elemOf } from "./elem.ts";
import {
  type AttributeProto,
  type GraphProto,
  type Int64,
  type NodeProto,
  onnx,
  type TensorProto,
  toInt,
  tooDeep,
  type ValueInfoProto,
} from "./proto.ts";

export interface GraphNode {
  readonly opType: string;
  /** "" for ONNX's own operators, whichever way the file spells that. */
  readonly domain: string;
  /** Tells functions of one name apart; absent: "". */
  readonly overload?: string;
  readonly name: string;
  /** "" where an optional input is absent. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attrs: Readonly<Record<string, Attr>>;
  /** Attributes that the file calls floats, as a whole number does not tell. Absent: nothing is known. */
  readonly floats?: ReadonlySet<string>;
  /** Attributes that hold whole graphs. */
  readonly subgraphs: Readonly<Record<string, Subgraph>>;
  /** Inside a function: attributes that are those of its caller, by the caller's name for them. */
  readonly refs: Readonly<Record<string, string>>;
}

/** A graph inside a node. It may read tensors of the graphs around it. */
export interface Subgraph {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** What the file declares the outputs to be, where it does. */
  readonly types: readonly (TensorType | undefined)[];
  readonly constants: readonly { readonly name: string; readonly value: Attr }[];
  readonly nodes: readonly GraphNode[];
}

/** What is known of a tensor by name, without running shape inference. */
export interface TensorFacts {
  rank(name: string): number | undefined;
  elem(name: string): Elem | undefined;
  /** The values, when the tensor is a small constant. */
  value(name: string): Tensor | undefined;
  /** Notes that a node is not what its operator asks for. */
  malformed(text: string, nodes: readonly string[]): void;
}

/** Turns a tensor in a message into an attribute: the values when few, else a reference to them. */
export type MakeConstant = (proto: TensorProto, name: string) => Attr;

/** `onnx.Add`, `onnx.com.microsoft.Gelu`. */
export const kindOf = (node: { readonly domain: string; readonly opType: string }): string =>
  node.domain === "" ? `onnx.${node.opType}` : `onnx.${node.domain}.${node.opType}`;

export function nodeOf(
  proto: NodeProto,
  index: number,
  path: string,
  constant: MakeConstant,
  depth = 0,
): GraphNode {
  const opType = proto.opType ?? "";
  const outputs = proto.output ?? [];
  const attributes = proto.attribute ?? [];
  const refs = attributes.filter((a) => a.refAttrName);
  const graphs = attributes.filter((a) => !a.refAttrName && a.g);
  // Types of lists and optionals follow from what is put into them.
  const plain = attributes.filter((a) => !a.refAttrName && !a.g && a.type !== KIND.TYPE_PROTO);
  return {
    opType,
    domain: domainOf(proto.domain),
    ...(proto.overload && { overload: proto.overload }),
    name: proto.name || `${opType}_${index}`,
    inputs: proto.input ?? [],
    outputs,
    attrs: Object.fromEntries(
      plain.map((a): [string, Attr] => [
        a.name ?? "",
        attributeOf(a, outputs[0] ?? "", constant) ?? unreadable(a, proto, path, index),
      ]),
    ),
    floats: new Set(plain.filter(isFloatKind).map((a) => a.name ?? "")),
    subgraphs: Object.fromEntries(
      graphs.map((a) => [a.name ?? "", subgraphOf(a.g ?? {}, path, constant, depth + 1)]),
    ),
    refs: Object.fromEntries(refs.map((a) => [a.name ?? "", a.refAttrName ?? ""])),
  };
}

/** ONNX's own domain has two spellings. */
export const domainOf = (domain: string | null | undefined): string =>
  domain === "ai.onnx" ? "" : (domain ?? "");

/** Graphs within graphs; protobuf's own readers stop at a hundred messages, which is 33 of these. */
const DEEPEST = 33;

/** Errors: A124 when graphs are nested beyond what other readers of ONNX take. */
function subgraphOf(
  graph: GraphProto,
  path: string,
  constant: MakeConstant,
  depth: number,
): Subgraph {
  if (depth > DEEPEST) tooDeep(path);
  return {
    inputs: (graph.input ?? []).map((i) => i.name ?? ""),
    outputs: (graph.output ?? []).map((o) => o.name ?? ""),
    types: (graph.output ?? []).map(declaredType),
    constants: (graph.initializer ?? []).map((t) => ({
      name: t.name ?? "",
      value: constant(t, t.name ?? ""),
    })),
    nodes: (graph.node ?? []).map((n, i) => nodeOf(n, i, path, constant, depth)),
  };
}

/** A dimension that is not written out is unknown here. */
function declaredType({ type }: ValueInfoProto): TensorType | undefined {
  const { elemType, shape } = type?.tensorType ?? {};
  const elem = elemOf(elemType);
  if (!elem || !shape) return undefined;
  const dims = (shape.dim ?? []).map((d) =>
    Object.hasOwn(d, "dimValue") ? toInt(d.dimValue as number | Int64) : null,
  );
  return { elem, shape: dims };
}

/** Everything that a node reads: its inputs, and what its subgraphs take from outside. */
export const readsOf = (node: GraphNode): readonly string[] => [
  ...node.inputs.filter((i) => i !== ""),
  ...Object.values(node.subgraphs).flatMap(freeNames),
];

function freeNames(graph: Subgraph): readonly string[] {
  const defined = new Set([
    ...graph.inputs,
    ...graph.constants.map((c) => c.name),
    ...graph.nodes.flatMap((n) => n.outputs),
  ]);
  return [...graph.nodes.flatMap(readsOf), ...graph.outputs].filter((n) => !defined.has(n));
}

function unreadable(a: AttributeProto, node: NodeProto, model: string, index: number): never {
  const name = node.name || `${node.opType ?? ""}_${index}`;
  return fail(
    "A115",
    `attribute '${a.name}' of ${node.opType} has a kind that is not supported`,
    { kind: "node", model, nodes: [name] },
    "numbers, strings and tensors, and lists of numbers and strings are supported",
  );
}

const text = (bytes: Uint8Array | null | undefined): string =>
  Buffer.from(bytes ?? new Uint8Array()).toString("utf8");

const KIND = onnx.AttributeProto.AttributeType;

/** The kind of attributes from before the type field existed (IR version 1), from what they hold. */
function kindFromContent(a: AttributeProto): number {
  if (Object.hasOwn(a, "f")) return KIND.FLOAT;
  if (Object.hasOwn(a, "i")) return KIND.INT;
  if (Object.hasOwn(a, "s")) return KIND.STRING;
  if (Object.hasOwn(a, "t")) return KIND.TENSOR;
  if ((a.floats ?? []).length > 0) return KIND.FLOATS;
  if ((a.ints ?? []).length > 0) return KIND.INTS;
  return (a.strings ?? []).length > 0 ? KIND.STRINGS : KIND.UNDEFINED;
}

function isFloatKind(a: AttributeProto): boolean {
  const kind = a.type || kindFromContent(a);
  return kind === KIND.FLOAT || kind === KIND.FLOATS;
}

/** undefined for kinds that have no counterpart: graphs, sparse tensors, types. */
function attributeOf(a: AttributeProto, owner: string, constant: MakeConstant): Attr | undefined {
  switch (a.type || kindFromContent(a)) {
    case KIND.FLOAT:
      return a.f ?? 0;
    case KIND.INT:
      return toInt(a.i as number | Int64);
    case KIND.STRING:
      return text(a.s);
    case KIND.TENSOR:
      return constant(a.t ?? {}, owner);
    case KIND.FLOATS:
      return [...(a.floats ?? [])];
    case KIND.INTS:
      return (a.ints ?? []).map((i) => toInt(i as number | Int64));
    case KIND.STRINGS:
      return (a.strings ?? []).map(text);
    default:
      return undefined;
  }
}
