/** What resolving control flow works with: the graph so far, the lists in it, and the way to add more. */

import { type Attr, isTensorAttr } from "../../ir/op.ts";
import { fromNumbers, toNumbers } from "../../tensor/convert.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { GraphBuilder } from "../build.ts";
import type { GraphNode, Subgraph } from "../graph.ts";
import { instantiate } from "../inline.ts";

/** A sequence of tensors, or an optional one: known by the names of what is in it. */
export type Container =
  | { readonly kind: "sequence"; readonly items: readonly string[] }
  | { readonly kind: "optional"; readonly item: string | null };

export interface Scope {
  readonly builder: GraphBuilder;
  /** By the name that the graph gives them. No operation ever sees them. */
  readonly containers: Map<string, Container>;
  fresh(base: string): string;
  /** Adds nodes that stand for (a part of) `owner`, in the words of the file's operator set. */
  add(nodes: readonly GraphNode[], owner: GraphNode): void;
}

/** Puts a copy of the graph in and gives the names of its outputs. `step` tells copies apart. */
export function put(
  graph: Subgraph,
  args: readonly string[],
  node: GraphNode,
  scope: Scope,
  step?: number,
): readonly string[] {
  const owner = step === undefined ? node : { ...node, name: `${node.name}/${step}` };
  const { nodes, outputs } = instantiate(graph, args, owner, scope.fresh);
  scope.add(nodes, owner);
  return outputs;
}

/** Adds a node of today's operators; its result is called `output`, or has a name of its own. */
export function emit(
  scope: Scope,
  owner: GraphNode,
  opType: string,
  inputs: readonly string[],
  attrs: Readonly<Record<string, Attr>> = {},
  output = scope.fresh(`${owner.outputs[0] || owner.name}.${opType.toLowerCase()}`),
): string {
  const made = { opType, domain: "", inputs, outputs: [output], attrs, subgraphs: {}, refs: {} };
  scope.builder.add({ name: owner.name, ...made });
  return output;
}

/** Adds an integer constant and gives its name. */
export function integers(
  scope: Scope,
  owner: GraphNode,
  shape: readonly number[],
  values: readonly number[],
): string {
  return constant(scope, owner, fromNumbers("i64", shape, values));
}

export function constant(scope: Scope, owner: GraphNode, value: Tensor): string {
  const name = scope.fresh(`${owner.outputs[0] || owner.name}.constant`);
  scope.builder.constant(name, value, owner.name);
  return name;
}

/** The numbers of a tensor that is a known constant. */
export function numbersOf(scope: Scope, name: string): readonly number[] | undefined {
  const value = scope.builder.value(name);
  return value && isTensorAttr(value) ? [...toNumbers(value)] : undefined;
}

/** The one number of a tensor that is a known constant. */
export function numberOf(scope: Scope, name: string): number | undefined {
  const values = numbersOf(scope, name);
  return values?.length === 1 ? values[0] : undefined;
}

/** Gives another name to a tensor or a container. */
export function alias(scope: Scope, owner: GraphNode, from: string, to: string): void {
  if (to === "") return;
  const container = scope.containers.get(from);
  if (container) scope.containers.set(to, container);
  else emit(scope, owner, "Identity", [from], {}, to);
}

/** Notes that a node cannot be resolved, with the inputs that its `cause` is computed from. */
export function refuse(
  scope: Scope,
  node: GraphNode,
  text: string,
  cause: string | null,
  hint = "compile a model whose control flow does not depend on its data",
): true {
  const from = cause === null ? [] : scope.builder.inputsBehind(cause);
  const inputs = `input${from.length > 1 ? "s" : ""} ${from.join(", ")}`;
  const source = from.length > 0 ? `: '${cause}' is computed from ${inputs}` : "";
  const [first] = from;
  const set = first ? `, or fix it: --set ${first}=VALUE` : "";
  scope.builder.refused(`${node.opType} '${node.name}' ${text}${source}`, node, hint + set);
  return true;
}
