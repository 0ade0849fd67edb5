/** If: the branch that a known condition takes; else both, and a choice between their results. */

import { isStatic, showType } from "../../tensor/tensor.ts";
import type { GraphNode } from "../graph.ts";
import { alias, emit, integers, numberOf, put, refuse, type Scope } from "./scope.ts";

export function resolveIf(node: GraphNode, scope: Scope): boolean {
  const [condition = ""] = node.inputs;
  const { then_branch, else_branch } = node.subgraphs;
  if (!then_branch || !else_branch) return false;
  const known = numberOf(scope, condition);
  if (known === undefined) return choose(node, scope);
  const outputs = put(known === 0 ? else_branch : then_branch, [], node, scope);
  node.outputs.forEach((to, i) => {
    alias(scope, node, outputs[i] ?? "", to);
  });
  return true;
}

/**
 * Graphs have no effects, so both branches may be computed. Results must be tensors of one type: what
 * follows cannot have two shapes.
 */
function choose(node: GraphNode, scope: Scope): boolean {
  const [condition = ""] = node.inputs;
  const { then_branch, else_branch } = node.subgraphs;
  if (!then_branch || !else_branch) return false;
  const before = scope.builder.faultCount;
  const yes = put(then_branch, [], node, scope);
  const no = put(else_branch, [], node, scope);
  // What is wrong inside of a branch has been noted, and says more.
  if (scope.builder.faultCount > before) return defineAll(node, scope);
  const scalar = emit(scope, node, "Reshape", [condition, integers(scope, node, [0], [])]);
  for (const [i, to] of node.outputs.entries()) {
    if (to === "") continue;
    const [a = "", b = ""] = [yes[i], no[i]];
    const text = difference(scope, a, b);
    if (text !== null) return refuse(scope, node, `decides by data between ${text}`, condition);
    emit(scope, node, "Where", [scalar, a, b], {}, to);
  }
  return true;
}

function defineAll(node: GraphNode, scope: Scope): true {
  for (const name of node.outputs) scope.builder.define(name, undefined);
  return true;
}

/** Why no one value can stand for both; null when one can. */
function difference(scope: Scope, a: string, b: string): string | null {
  if (scope.containers.has(a) || scope.containers.has(b)) return "sequences or optional values";
  const [x, y] = [scope.builder.type(a), scope.builder.type(b)];
  if (!x || !y || !isStatic(x) || !isStatic(y)) return "results whose shapes are not known";
  const [one, other] = [showType(x), showType(y)];
  return one === other ? null : `results of different types, ${one} and ${other}`;
}
