/** Puts graphs that are called by name or chosen by a condition in the place of the node. */

import type { Attr } from "../ir/op.ts";
import { domainOf, type GraphNode, type MakeConstant, nodeOf, type Subgraph } from "./graph.ts";
import type { FunctionProto } from "./proto.ts";

type Fresh = (base: string) => string;

/** A function of the file: a graph with attributes that its callers give. */
export interface LocalFunction {
  readonly body: Subgraph;
}

/** The file's own functions by the kind of node that calls them. */
export function functionsOf(
  protos: readonly FunctionProto[],
  path: string,
  constant: MakeConstant,
): ReadonlyMap<string, LocalFunction> {
  return new Map(
    protos.map((f) => {
      const nodes = (f.node ?? []).map((n, i) => nodeOf(n, i, path, constant));
      const body = { inputs: f.input ?? [], outputs: f.output ?? [], constants: [], nodes };
      return [callOf(domainOf(f.domain), f.name ?? ""), { body }];
    }),
  );
}

export const callOf = (domain: string, opType: string): string => `${domain}:${opType}`;

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
  return [...renamed(body.nodes, names, node, fresh), ...copies];
}

/** The nodes of the branch that the condition chooses. */
export function inlineIf(node: GraphNode, taken: boolean, fresh: Fresh): readonly GraphNode[] {
  const branch = node.subgraphs[taken ? "then_branch" : "else_branch"];
  if (!branch) return [];
  const names = new Map<string, string>();
  const constants = branch.constants.map(({ name, value }): GraphNode => {
    names.set(name, fresh(name));
    const made = { opType: "Constant", inputs: [], outputs: [name], attrs: { value } };
    return { ...node, ...made, subgraphs: {} };
  });
  const nodes = renamed([...constants, ...branch.nodes], names, node, fresh);
  const copies = branch.outputs.map((name, i) =>
    identity(node, names.get(name) ?? name, node.outputs[i] ?? ""),
  );
  return [...nodes, ...copies.filter((c) => c.outputs[0] !== "")];
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
  return nodes.map((n) => renameNode(n, names, caller));
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
  return {
    ...n,
    // Messages name what is in the file's graph: the node that calls.
    name: caller.name,
    inputs: n.inputs.map(rename),
    outputs: n.outputs.map(rename),
    attrs: { ...n.attrs, ...Object.fromEntries(given) },
    floats: new Set([...(n.floats ?? []), ...floatsAmong(n, caller)]),
    refs: {},
    subgraphs: Object.fromEntries(
      Object.entries(n.subgraphs).map(([k, g]) => [k, renameGraph(g, names, caller)]),
    ),
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
