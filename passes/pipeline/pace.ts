/**
 * When things happen if nothing ever waits for room: the basis of how much room there should be.
 *
 * Inferences follow each other at the pace of the busiest cluster. Step s then runs iteration i at
 * first(s) + i * period(s), where first(s) is the longest path of waits that leads to its first iteration.
 * Kernels are not interrupted, so whoever comes to another cluster may wait for the longest one there.
 */

import type { Domain } from "../../src/artifact/schedule.ts";
import type { Value } from "../../src/ir/op.ts";
import { apply } from "../../src/poly/dependence.ts";
import { iterationsOf } from "../../src/poly/domain.ts";
import type { Price } from "./cost.ts";
import { leastCapacity, type Network, type Node, type Ring } from "./network.ts";

export interface Pace {
  /** Nanoseconds between the starts of two inferences. */
  readonly intervalNs: number;
  readonly times: ReadonlyMap<Node, Times>;
}

interface Times {
  /** Start of the first iteration, and how long one takes, in nanoseconds. */
  readonly first: number;
  readonly cost: number;
}

export function paceOf(network: Network, price: Price): Pace {
  const busy = new Map<number, { digital: number; tile: number; longest: number }>();
  const costs = new Map<Node, number>();
  for (const node of network.nodes) {
    const cost = costOf(node, network, price);
    const sum = busy.get(node.cluster) ?? { digital: 0, tile: 0, longest: 0 };
    const count = iterationsOf(node.domain);
    sum.digital += count * cost.digitalNs;
    sum.tile += count * cost.tileNs;
    sum.longest = Math.max(sum.longest, cost.digitalNs);
    busy.set(node.cluster, sum);
    costs.set(node, cost.digitalNs + cost.tileNs);
  }
  const intervalNs = Math.max(0, ...[...busy.values()].map((b) => Math.max(b.digital, b.tile)));
  const times = new Map<Node, Times>();
  for (const node of network.nodes) {
    const blocked = busy.get(node.cluster)?.longest ?? 0;
    const first = firstOf(node, network, times, intervalNs, blocked);
    times.set(node, { first, cost: costs.get(node) ?? 0 });
  }
  return { intervalNs, times };
}

function costOf({ op, domain, reads }: Node, { rings }: Network, price: Price) {
  const writes = op.results.map((r) => rings.get(r)?.side.select ?? []);
  return price(op, { domain, reads: reads.map((r) => r?.select ?? null), writes });
}

/** When the newest block that the first iteration needs is there. */
function firstOf(
  node: Node,
  { rings }: Network,
  times: ReadonlyMap<Node, Times>,
  intervalNs: number,
  blocked: number,
): number {
  const read = new Set(node.op.operands.filter((v): v is Value => v !== null));
  const ready = [...read].flatMap((v) => {
    const ring = rings.get(v);
    const writer = ring?.writer && times.get(ring.writer);
    if (!ring || !writer) return [];
    const period = intervalNs / iterationsOf(ring.side.domain);
    const arrival = ring.writer?.cluster === node.cluster ? 0 : blocked;
    return ring.readers
      .filter((r) => r.node === node)
      .map((r) => apply(r.dependence.newest, ring.side.domain, 0, 0))
      .map((block) => writer.first + writer.cost + arrival + block * period);
  });
  return Math.max(0, ...ready);
}

/**
 * Blocks that the ring must hold for its writer never to wait at this pace: as many as are written from
 * the start of the first block until its last reader is done with it, and one more for jitter.
 */
export function roomyCapacity(ring: Ring, { intervalNs, times }: Pace): number {
  const writer = ring.writer && times.get(ring.writer);
  if (!writer || intervalNs === 0) return leastCapacity(ring);
  const periodOf = (domain: Domain): number => intervalNs / iterationsOf(domain);
  const wanted = ring.readers.map(({ node, dependence: d }) => {
    const reader = times.get(node);
    if (!reader) throw new Error(`step ${node.id} has no times`);
    const last = apply(d.release, node.domain, 0, 0);
    const held = reader.first + last * periodOf(node.domain) + reader.cost - writer.first;
    return 1 + Math.ceil(Math.max(0, held) / periodOf(ring.side.domain));
  });
  return Math.max(leastCapacity(ring), ...wanted);
}
