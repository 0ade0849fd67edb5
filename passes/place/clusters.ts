/** Which cluster runs each digital operation: one beside the tiles that feed it, or that it feeds. */

import type { Module, Op, Value } from "../../src/ir/op.ts";
import { usersOf } from "../../src/ir/rewrite.ts";
import { kernelNs } from "../../src/target/cost.ts";
import type { Target } from "../../src/target/schema.ts";
import { workOf } from "../../src/target/work.ts";

/** How far an analog operation is, in operations, and the clusters that are candidates there. */
interface Near {
  readonly distance: number;
  readonly clusters: readonly number[];
}

/**
 * The cluster of every operation that is not a constant. `tiles` gives the nodes of each aimc.mvm. An operation
 * goes beside its nearest analog producer: where its operand already is, and right after a grid of
 * several tiles onto the cluster with the least work so far. Without one, it goes beside its nearest analog consumer;
 * without any, to cluster 0.
 */
export function assignClusters(
  module: Module,
  tiles: ReadonlyMap<Op, readonly number[]>,
  target: Target,
): ReadonlyMap<Op, number> {
  const consumers = nearestConsumers(module, tiles);
  const near = new Map<Value, Near>();
  const load = new Map<number, number>();
  const clusters = new Map<Op, number>();
  for (const op of module.ops) {
    const own = tiles.get(op);
    if (own) {
      clusters.set(op, own[0] ?? 0);
      for (const r of op.results) near.set(r, { distance: 0, clusters: own });
      continue;
    }
    if (op.kind === "onnx.Constant") continue;
    const from = nearest(op.operands.map((v) => (v ? near.get(v) : undefined)));
    const cluster = leastLoaded(from?.clusters ?? consumers.get(op)?.clusters ?? [0], load);
    clusters.set(op, cluster);
    load.set(cluster, (load.get(cluster) ?? 0) + timeOf(op, target));
    if (!from) continue;
    for (const r of op.results) near.set(r, { distance: from.distance + 1, clusters: [cluster] });
  }
  return clusters;
}

/** The nearest of some; of equally near ones, all their clusters. */
function nearest(all: readonly (Near | undefined)[]): Near | undefined {
  const known = all.filter((n) => n !== undefined);
  if (known.length === 0) return undefined;
  const distance = Math.min(...known.map((n) => n.distance));
  const clusters = known.filter((n) => n.distance === distance).flatMap((n) => n.clusters);
  return { distance, clusters };
}

function nearestConsumers(
  module: Module,
  tiles: ReadonlyMap<Op, readonly number[]>,
): ReadonlyMap<Op, Near> {
  const users = usersOf(module);
  const near = new Map<Op, Near>();
  for (const op of module.ops.toReversed()) {
    const own = tiles.get(op);
    const after = op.results.flatMap((r) => users.get(r) ?? []).map((user) => near.get(user));
    const found = own ? { distance: 0, clusters: own.slice(0, 1) } : nearest(after);
    if (found) near.set(op, own ? found : { ...found, distance: found.distance + 1 });
  }
  return near;
}

/** Of equally loaded clusters the one listed first, so that equal modules place alike. */
function leastLoaded(candidates: readonly number[], load: ReadonlyMap<number, number>): number {
  const [first = 0, ...others] = candidates;
  return others.reduce((a, b) => ((load.get(b) ?? 0) < (load.get(a) ?? 0) ? b : a), first);
}

function timeOf(op: Op, target: Target): number {
  const shapes = op.operands.map((v) => v?.type.shape ?? null);
  const weights = ["weight", "a", "b"].flatMap((name) => {
    const w = op.attrs[name];
    if (typeof w !== "object" || w === null || !("type" in w)) return [];
    const { shape } = w.type as { readonly shape: readonly number[] };
    return [shape.slice(-2)];
  });
  const results = op.results.map((r) => r.type.shape);
  return kernelNs(target, workOf(op.kind, shapes, results, weights));
}
