/** Order and well-formedness of a graph's nodes. */

import { type Diagnostic, fail, InputError } from "../diag/diagnostic.ts";
import { type GraphNode, readsOf } from "./graph.ts";

const at = (model: string, nodes: readonly GraphNode[]) =>
  ({ kind: "node", model, nodes: nodes.map((n) => n.name) }) as const;

/**
 * Every tensor has one producer, and every input one at all.
 * Errors: A106 two producers; A107 an input that nothing defines.
 */
export function checkNames(
  nodes: readonly GraphNode[],
  given: ReadonlySet<string>,
  outputs: readonly string[],
  model: string,
): void {
  const faults = [...doubles(nodes, given, model)];
  const defined = new Set([...given, ...nodes.flatMap((n) => n.outputs.filter((o) => o !== ""))]);
  const hint = "the graph is cut off or damaged: export the model again";
  for (const node of nodes) {
    for (const name of readsOf(node).filter((i) => !defined.has(i))) {
      const text = `nothing defines tensor '${name}'`;
      faults.push({ code: "A107", text, at: at(model, [node]), hint });
    }
  }
  for (const name of outputs.filter((o) => !defined.has(o))) {
    const text = `nothing defines the graph output '${name}'`;
    faults.push({ code: "A107", text, at: { kind: "file", file: model }, hint });
  }
  if (faults.length > 0) throw new InputError(faults);
}

/** Errors: A106 for tensors that two nodes define, or a node beside an input or initializer. */
function* doubles(
  nodes: readonly GraphNode[],
  given: ReadonlySet<string>,
  model: string,
): Iterable<Diagnostic> {
  const hint = "every tensor name may be defined once: export the model again";
  const producers = new Map<string, GraphNode>();
  for (const node of nodes) {
    for (const out of node.outputs.filter((o) => o !== "")) {
      const before = producers.get(out);
      producers.set(out, node);
      if (!before && !given.has(out)) continue;
      const text = `tensor '${out}' is defined twice${before ? "" : ", once as an input or initializer"}`;
      yield { code: "A106", text, at: at(model, before ? [before, node] : [node]), hint };
    }
  }
}

/**
 * The nodes such that producers come first; the file's order where it is right already.
 * Errors: A108 when nodes depend on their own results.
 */
export function sortNodes(nodes: readonly GraphNode[], model: string): readonly GraphNode[] {
  const producer = new Map<string, GraphNode>();
  for (const node of nodes) for (const out of node.outputs) if (out !== "") producer.set(out, node);
  const sorted = new Set<GraphNode>();
  const open = new Set<GraphNode>();
  // Depth-first with a stack of our own: chains of nodes are longer than call stacks are deep.
  const stack = [...nodes].reverse();
  for (let node = stack.at(-1); node; node = stack.at(-1)) {
    const needed = readsOf(node)
      .flatMap((i) => producer.get(i) ?? [])
      .filter((p) => !sorted.has(p));
    if (sorted.has(node) || needed.length === 0) {
      sorted.add(node);
      open.delete(node);
      stack.pop();
      continue;
    }
    open.add(node);
    const again = needed.find((p) => open.has(p));
    if (again) {
      const hint = "a graph may not feed its results back: export the model again";
      const path = [...open];
      const circle = path.slice(path.indexOf(again));
      fail("A108", "these nodes depend on their own results", at(model, circle), hint);
    }
    stack.push(...needed.reverse());
  }
  return [...sorted];
}
