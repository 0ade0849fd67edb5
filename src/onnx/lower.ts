/**
 * From a file's nodes to operations: calls are inlined, conditions decided, loops unrolled, lists taken apart,
 * and what is left is brought to today's operators.
 */

import { fail } from "../diag/diagnostic.ts";
import type { GraphBuilder } from "./build.ts";
import { resolveIf } from "./control/branch.ts";
import { CONTAINER_RULES } from "./control/containers.ts";
import { resolveLoop, resolveScan, resolveSequenceMap } from "./control/loop.ts";
import type { Container, Scope } from "./control/scope.ts";
import { type GraphNode, kindOf } from "./graph.ts";
import { callOf, inlineCall, type LocalFunction } from "./inline.ts";
import { upgrade } from "./upgrade.ts";

export interface Lowering {
  readonly path: string;
  readonly opset: number;
  readonly functions: ReadonlyMap<string, LocalFunction>;
  readonly fresh: (base: string) => string;
  /** Whether a node is passed over: LeftOut. */
  readonly passesOver: (node: GraphNode) => boolean;
}

/** Calls within calls; exporters write a function for a module, and modules are some ten deep. */
const DEEPEST_CALL = 100;

/** A model of the largest kind has some ten thousand nodes; functions that double each other have more. */
const MOST_INLINED = 200_000;

/** Operators that are resolved here, so that no level holds any: all but Identity, which also stays an operation. */
export const CONTROL: Readonly<Record<string, (node: GraphNode, scope: Scope) => boolean>> = {
  ...CONTAINER_RULES,
  "onnx.If": resolveIf,
  "onnx.Loop": resolveLoop,
  "onnx.Scan": resolveScan,
  "onnx.SequenceMap": resolveSequenceMap,
};

/** Where nodes stand: how deep in calls, and in the words of which operator set. */
interface Place {
  readonly depth: number;
  readonly opset: number;
}

/** Adds the nodes, in order, to what is built. Errors: A125 for functions without end, A127 for too many steps. */
export function lowerNodes(
  nodes: readonly GraphNode[],
  builder: GraphBuilder,
  how: Lowering,
): void {
  const containers = new Map<string, Container>();
  const fresh = (base: string): string => builder.adopt(how.fresh(base));
  let inlined = 0;
  const lower = (list: readonly GraphNode[], place: Place): void => {
    for (const node of list) if (!how.passesOver(node)) lowerOne(node, place);
  };
  const lowerOne = (node: GraphNode, place: Place): void => {
    const called = how.functions.get(callOf(node));
    if (called) {
      const inside = { depth: place.depth + 1, opset: called.opset ?? place.opset };
      enter(inlineCall(node, called, fresh), node, inside);
    } else if (!CONTROL[kindOf(node)]?.(node, scopeAt(place))) {
      for (const n of upgrade(node, place.opset, builder, how.fresh)) builder.add(n);
    }
  };
  const enter = (inner: readonly GraphNode[], owner: GraphNode, place: Place): void => {
    inlined += inner.length;
    if (place.depth > DEEPEST_CALL || inlined > MOST_INLINED) endless(owner, how.path);
    lower(inner, place);
  };
  const scopeAt = (place: Place): Scope => ({
    builder,
    containers,
    fresh,
    add: (inner, owner) => enter(inner, owner, { ...place, depth: place.depth + 1 }),
  });
  lower(nodes, { depth: 0, opset: how.opset });
}

function endless(node: GraphNode, model: string): never {
  const at = { kind: "node", model, nodes: [node.name] } as const;
  if (kindOf(node) in CONTROL) {
    const text = `${node.opType} '${node.name}' stands for more than ${MOST_INLINED} nodes`;
    fail("A127", text, at, "export the model with tensor operations instead of loops");
  }
  const text = `the functions that '${node.opType}' calls have no end, or far too many nodes`;
  const hint =
    "functions may not call themselves: export the model again, or inline them with onnx";
  fail("A125", text, at, hint);
}
