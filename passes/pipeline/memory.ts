/** How large the rings are: enough to run, more where memory allows, never so small that the program stops. */

import type { Diagnostic } from "../../src/diag/diagnostic.ts";
import type { Module, Value } from "../../src/ir/op.ts";
import { iterationsOf } from "../../src/poly/domain.ts";
import type { Target } from "../../src/target/schema.ts";
import type { PassContext } from "../pass.ts";
import { constantBytes } from "./constants.ts";
import type { Price } from "./cost.ts";
import { growUntilLive, isLive } from "./liveness.ts";
import { leastCapacity, type Network, type Ring } from "./network.ts";
import { type Pace, paceOf, roomyCapacity } from "./pace.ts";

/**
 * Capacities with which the program runs to its end, and at its pace where memory allows: a cluster whose
 * rings fit only without room for overlap gets rings without. One that they do not fit even then must
 * keep part of its data outside of its memory in any case, and is not slowed down on top.
 */
export function capacitiesOf(network: Network, target: Target, price: Price): Map<Value, number> {
  const tcdm = tcdmBytes(target);
  const pace = paceOf(network, price);
  const sized = (tight: ReadonlySet<number>): Map<Value, number> =>
    growUntilLive(
      network,
      new Map(
        [...network.rings].map(([value, ring]) => [
          value,
          initialCapacity(ring, tight.has(ring.cluster) ? null : pace),
        ]),
      ),
    );
  const overfullIn = (capacities: ReadonlyMap<Value, number>): readonly number[] =>
    overfull(network, capacities, tcdm).map((u) => u.cluster);
  const roomy = sized(new Set());
  const full = overfullIn(roomy);
  const hopeless = full.length === 0 ? [] : overfullIn(sized(new Set(full)));
  const tight = new Set(full.filter((c) => !hopeless.includes(c)));
  const capacities = tight.size === 0 ? roomy : sized(tight);
  if (!isLive(network, capacities)) throw new Error("the capacities that were found deadlock");
  return capacities;
}

const tcdmBytes = (target: Target): number => target.cluster.tcdmKiB.value * 1024;

/** The host's memory holds an inference's inputs in any case; without a pace there is no room. */
function initialCapacity(ring: Ring, pace: Pace | null): number {
  if (ring.writer === null) return iterationsOf(ring.side.domain);
  return pace ? roomyCapacity(ring, pace) : leastCapacity(ring);
}

interface Usage {
  readonly cluster: number;
  readonly rings: number;
  readonly constants: number;
}

const total = (u: Usage): number => u.rings + u.constants;

function usage(network: Network, capacities: ReadonlyMap<Value, number>): readonly Usage[] {
  const rings = new Map<number, number>();
  for (const ring of network.rings.values()) {
    rings.set(ring.cluster, (rings.get(ring.cluster) ?? 0) + bytesOfRing(ring, capacities));
  }
  const constants = constantBytes(network);
  return [...new Set([...rings.keys(), ...constants.keys()])]
    .sort((a, b) => a - b)
    .map((cluster) => ({
      cluster,
      rings: rings.get(cluster) ?? 0,
      constants: constants.get(cluster) ?? 0,
    }));
}

const bytesOfRing = (r: Ring, capacities: ReadonlyMap<Value, number>): number =>
  r.blockBytes * (capacities.get(r.value) ?? 1);

const overfull = (
  network: Network,
  capacities: ReadonlyMap<Value, number>,
  tcdm: number,
): readonly Usage[] => usage(network, capacities).filter((u) => total(u) > tcdm);

/** Says which clusters keep part of their data outside of their memory, and how much. */
export function remarkSpills(
  network: Network,
  capacities: ReadonlyMap<Value, number>,
  { target, remark }: PassContext,
): void {
  const tcdm = tcdmBytes(target);
  for (const u of overfull(network, capacities, tcdm)) {
    const rings = [...network.rings.values()].filter((r) => r.cluster === u.cluster);
    const size = (r: Ring): number => bytesOfRing(r, capacities);
    const [largest] = rings.toSorted((a, b) => size(b) - size(a));
    remark({
      text:
        `cluster ${u.cluster} needs ${kib(u.rings)} KiB for rings and ${kib(u.constants)} KiB for ` +
        `constants and has ${kib(tcdm)} KiB: ${kib(total(u) - tcdm)} KiB lie outside of it` +
        (largest ? ` (largest ring: %${largest.value.id}, ${kib(size(largest))} KiB)` : ""),
      nodes: largest?.writer?.op.origin ?? [],
    });
  }
}

const kib = (bytes: number): string => String(Math.ceil(bytes / 1024));

/** A301 for each block that no cluster can hold although a smaller one would fit. */
export function* tooLargeBlocks(
  module: Module,
  network: Network,
  target: Target,
): Iterable<Diagnostic> {
  const tcdm = tcdmBytes(target);
  for (const { value, side, writer, blockBytes } of network.rings.values()) {
    const { block } = side.domain;
    const fitting = Math.floor(tcdm / (blockBytes / block));
    if (blockBytes <= tcdm || block === 1 || fitting === 0) continue;
    yield {
      code: "A301",
      text:
        `a block of ${block} tokens of %${value.id} takes ${blockBytes} bytes, ` +
        `but a cluster of '${target.name}' has ${tcdm}`,
      at: { kind: "node", model: module.name, nodes: writer?.op.origin ?? [value.id] },
      hint: `at most ${fitting} tokens fit: choose --tokens ${fitting} or fewer, or --tokens auto`,
    };
  }
}
