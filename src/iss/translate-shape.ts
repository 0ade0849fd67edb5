/**
 * The order and nesting in which blocks are written as WebAssembly's structured control flow: what one dominates is
 * within it. Sources: Ramsey, "Beyond Relooper: recursive translation of unstructured control flow to structured
 * control flow" (ICFP 2022); Cooper, Harvey, Kennedy, "A simple, fast dominance algorithm" (2001).
 */

/** For each node of a graph the nodes that it leads to; the first node is the start. */
export type Graph = readonly (readonly number[])[];

export interface Shape {
  /** Place in reverse postorder; -1 for nodes that are not reached. */
  readonly place: readonly number[];
  /** What a node dominates immediately. */
  readonly children: Graph;
  /** Nodes that a loop begins with. */
  readonly heads: ReadonlySet<number>;
  /** Nodes that more than one edge leads to from before. */
  readonly merges: ReadonlySet<number>;
  /** Edges back into the middle of something: with them the graph has no structure. */
  readonly wild: readonly (readonly [from: number, to: number])[];
}

export function shapeOf(graph: Graph): Shape {
  const order = reversePostorder(graph);
  const place = graph.map(() => -1);
  for (const [i, node] of order.entries()) place[node] = i;
  const edges = order.flatMap((from) => (graph[from] ?? []).map((to) => [from, to] as const));
  const dominator = dominators(order, place, edges);
  const children = graph.map((): number[] => []);
  for (const node of order.slice(1)) children[dominator[node] ?? 0]?.push(node);
  const back = edges.filter(([from, to]) => at(place, to) <= at(place, from));
  const forward = edges.filter(([from, to]) => at(place, to) > at(place, from));
  const within = (node: number, outer: number): boolean => {
    let n = node;
    while (at(place, n) > at(place, outer)) n = at(dominator, n);
    return n === outer;
  };
  return {
    place,
    children,
    heads: new Set(back.map(([, to]) => to)),
    merges: repeated(forward.map(([, to]) => to)),
    wild: back.filter(([from, to]) => !within(from, to)),
  };
}

/** The loop of the start: the nodes from which one of some that lead back to it is reached without it. */
export function loopOf(graph: Graph, last: readonly number[]): ReadonlySet<number> {
  const before = graph.map((): number[] => []);
  for (const [from, targets] of graph.entries()) {
    for (const to of targets) before[to]?.push(from);
  }
  const found = new Set([0]);
  const waiting = [...last];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    waiting.push(...(before[node] ?? []));
  }
  return found;
}

const at = (list: readonly number[], i: number): number => list[i] ?? -1;

function repeated(nodes: readonly number[]): ReadonlySet<number> {
  const seen = new Set<number>();
  return new Set(nodes.filter((n) => seen.size === seen.add(n).size));
}

function reversePostorder(graph: Graph): readonly number[] {
  const done: number[] = [];
  const seen = new Set([0]);
  const path = [{ node: 0, next: 0 }];
  for (let top = path.at(-1); top; top = path.at(-1)) {
    const to = graph[top.node]?.[top.next++];
    if (to === undefined) {
      done.push(top.node);
      path.pop();
    } else if (!seen.has(to)) {
      seen.add(to);
      path.push({ node: to, next: 0 });
    }
  }
  return done.reverse();
}

/** The immediate dominator of each node; the start's is itself. */
function dominators(
  order: readonly number[],
  place: readonly number[],
  edges: readonly (readonly [number, number])[],
): readonly number[] {
  const before = new Map<number, number[]>(order.map((n) => [n, []]));
  for (const [from, to] of edges) before.get(to)?.push(from);
  const found = place.map(() => -1);
  found[0] = 0;
  const common = (a: number, b: number): number => {
    let [x, y] = [a, b];
    while (x !== y) {
      if (at(place, x) > at(place, y)) x = at(found, x);
      else y = at(found, y);
    }
    return x;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of order.slice(1)) {
      const known = (before.get(node) ?? []).filter((p) => at(found, p) >= 0);
      const next = known.reduce(common);
      changed ||= found[node] !== next;
      found[node] = next;
    }
  }
  return found;
}
