/** Puts graphs that are called by name, chosen or repeated in the place of the node. */

import type { Attr } from "../ir/op.ts";
import { domainOf, type GraphNode, type MakeConstant, nodeOf, type Subgraph } from "./graph.ts";
import { type FunctionProto, toInt } from "./proto.ts";

type Fresh = (base: string) => string;

/** A function of the file: a graph with attributes that its callers give. */
export interface LocalFunction {
  readonly body: Subgraph;
  /** The version of ONNX's own operators inside; undefined where the function does not say. */
  readonly opset: number | undefined;
  /** Carries the attributes that a caller may leave out, as a node would. */
  readonly defaults: GraphNode;
}

/** The file's own functions by the kind of node that calls them. */
export function functionsOf(
  protos: readonly FunctionProto[],
  path: string,
  constant: MakeConstant,
): ReadonlyMap<string, LocalFunction> {
  return new Map(protos.map((f) => [callOf(headOf(f)), functionOf(f, path, constant)]));
}

const headOf = (f: FunctionProto) => ({
  domain: domainOf(f.domain),
  opType: f.name ?? "",
  overload: f.overload ?? "",
});

function functionOf(f: FunctionProto, path: string, constant: MakeConstant): LocalFunction {
  const nodes = (f.node ?? []).map((n, i) => nodeOf(n, i, path, constant));
  const own = (f.opsetImport ?? []).filter((o) => domainOf(o.domain) === "");
  const carrier = { opType: f.name ?? "", domain: f.domain ?? "" };
  return {
    body: { inputs: f.input ?? [], outputs: f.output ?? [], types: [], constants: [], nodes },
    opset: own.length > 0 ? Math.max(...own.map((o) => toInt(o.version as number))) : undefined,
    defaults: nodeOf({ ...carrier, attribute: [...(f.attributeProto ?? [])] }, 0, path, constant),
  };
}

/** Functions are told apart by domain, name and, since version 10 of the format, overload. */
export const callOf = (node: Pick<GraphNode, "domain" | "opType" | "overload">): string =>
  `${node.domain}:${node.opType}:${node.overload ?? ""}`;

/** The nodes that a call of a function stands for. */
export function inlineCall(node: GraphNode, f: LocalFunction, fresh: Fresh): readonly GraphNode[] {
  const { body } = f;
  const names = new Map<string, string>();
  for (const [i, name] of body.inputs.entries()) names.set(name, node.inputs[i] ?? "");
  body.outputs.forEach((name, i) => {
    // An output that is an input as well, or is not asked for, keeps a name of its own.
    if (!names.has(name) && node.outputs[i]) names.set(name, node.outputs[i]);
  });
  const copies = body.outputs.flatMap((name, i) => {
    const [from = "", to = ""] = [names.get(name), node.outputs[i]];
    return to === "" || from === to ? [] : [identity(node, from, to)];
  });
  return [...renamed(body.nodes, names, withDefaults(node, f.defaults), fresh), ...copies];
}

/** The call with the attributes that it leaves to the function. */
const withDefaults = (node: GraphNode, { attrs, floats, subgraphs }: GraphNode): GraphNode => ({
  ...node,
  attrs: { ...attrs, ...node.attrs },
  floats: new Set([
    ...(node.floats ?? []),
    ...[...(floats ?? [])].filter((name) => node.attrs[name] === undefined),
  ]),
  subgraphs: { ...subgraphs, ...node.subgraphs },
});

/**
 * A copy of a graph inside of a node, which reads `args` as its inputs: its nodes and the names of its
 * outputs. `owner` says what the nodes are called after.
 */
export function instantiate(
  graph: Subgraph,
  args: readonly string[],
  owner: GraphNode,
  fresh: Fresh,
): { readonly nodes: readonly GraphNode[]; readonly outputs: readonly string[] } {
  const names = new Map(graph.inputs.map((name, i) => [name, args[i] ?? ""]));
  const constants = graph.constants.map(({ name, value }): GraphNode => {
    names.set(name, fresh(name));
    const made = { opType: "Constant", domain: "", name, inputs: [], outputs: [name] };
    return { ...made, attrs: { value }, subgraphs: {}, refs: {} };
  });
  const nodes = renamed([...constants, ...graph.nodes], names, owner, fresh);
  return { nodes, outputs: graph.outputs.map((name) => names.get(name) ?? name) };
}

const identity = (node: GraphNode, from: string, to: string): GraphNode => ({
  ...node,
  opType: "Identity",
  domain: "",
  inputs: [from],
  outputs: [to],
  attrs: {},
  subgraphs: {},
});

/** Copies of nodes with names that are free outside; `names` gains those that they define. */
function renamed(
  nodes: readonly GraphNode[],
  names: Map<string, string>,
  caller: GraphNode,
  fresh: Fresh,
): readonly GraphNode[] {
  for (const name of nodes.flatMap((n) => n.outputs)) {
    if (name !== "" && !names.has(name)) names.set(name, fresh(name));
  }
  // A message can name a node only by the way that leads to it.
  return nodes.map((n) => ({
    ...renameNode(n, names, caller),
    name: `${caller.name}/${n.name.replace(/^\//, "")}`,
  }));
}

function renameNode(
  n: GraphNode,
  names: ReadonlyMap<string, string>,
  caller: GraphNode,
): GraphNode {
  const rename = (name: string): string => names.get(name) ?? name;
  const given = Object.entries(n.refs).flatMap(([own, theirs]): [string, Attr][] => {
    const value = caller.attrs[theirs];
    return value === undefined ? [] : [[own, value]];
  });
  const graphs = Object.entries(n.refs).flatMap(([own, theirs]): [string, Subgraph][] => {
    const graph = caller.subgraphs[theirs];
    return graph ? [[own, graph]] : [];
  });
  return {
    ...n,
    inputs: n.inputs.map(rename),
    outputs: n.outputs.map(rename),
    attrs: { ...n.attrs, ...Object.fromEntries(given) },
    floats: new Set([...(n.floats ?? []), ...floatsAmong(n, caller)]),
    refs: {},
    subgraphs: {
      ...Object.fromEntries(graphs),
      ...Object.fromEntries(
        Object.entries(n.subgraphs).map(([k, g]) => [k, renameGraph(g, names, caller)]),
      ),
    },
  };
}

/** Attributes of a node in a function that its caller gives, as floats. */
const floatsAmong = (n: GraphNode, caller: GraphNode): readonly string[] =>
  Object.entries(n.refs).flatMap(([own, theirs]) => (caller.floats?.has(theirs) ? [own] : []));

/** Inside a subgraph only the names from outside change; its own are out of reach. */
function renameGraph(
  graph: Subgraph,
  names: ReadonlyMap<string, string>,
  caller: GraphNode,
): Subgraph {
  const own = new Set([
    ...graph.inputs,
    ...graph.constants.map((c) => c.name),
    ...graph.nodes.flatMap((n) => n.outputs),
  ]);
  const outer = new Map([...names].filter(([name]) => !own.has(name)));
  return {
    ...graph,
    outputs: graph.outputs.map((o) => outer.get(o) ?? o),
    nodes: graph.nodes.map((n) => renameNode(n, outer, caller)),
  };
}
