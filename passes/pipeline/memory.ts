/** How large the rings are: enough to run, more where memory allows, never so small that the program stops. */

import type { Diagnostic } from "../../src/diag/diagnostic.ts";
import { MVM } from "../../src/ir/dialects/program.ts";
import type { Module, Value } from "../../src/ir/op.ts";
import { iterationsOf } from "../../src/poly/domain.ts";
import type { Target } from "../../src/target/schema.ts";
import type { PassContext } from "../pass.ts";
import { constantBytes } from "./constants.ts";
import { growUntilLive, isLive } from "./liveness.ts";
import { leastCapacity, type Network, type Ring, roomyCapacity } from "./network.ts";

/** A value that is written at once is held twice, so that inferences overlap, if it is at most this share. */
const CHEAP_SHARE = 1 / 16;

/**
 * Capacities with which two inferences run to their end. Clusters whose rings would not fit with room for
 * overlap get the smallest rings that still work.
 */
export function capacitiesOf(network: Network, target: Target): Map<Value, number> {
  const tcdm = tcdmBytes(target);
  const roomy = growUntilLive(
    network,
    initial(network, tcdm, () => true),
  );
  const full = new Set(overfull(network, roomy, tcdm).map((c) => c.cluster));
  if (full.size === 0) return roomy;
  const tight = growUntilLive(
    network,
    initial(network, tcdm, (r) => !full.has(r.cluster)),
  );
  if (!isLive(network, tight)) throw new Error("the capacities that were found deadlock");
  return tight;
}

const tcdmBytes = (target: Target): number => target.cluster.tcdmKiB.value * 1024;

function initial(
  network: Network,
  tcdm: number,
  hasRoom: (r: Ring) => boolean,
): Map<Value, number> {
  return new Map(
    [...network.rings].map(([value, ring]) => [value, initialCapacity(ring, tcdm, hasRoom(ring))]),
  );
}

function initialCapacity(ring: Ring, tcdm: number, hasRoom: boolean): number {
  const blocks = iterationsOf(ring.side.domain);
  // The host's memory holds an inference's inputs in any case.
  if (ring.writer === null) return blocks;
  if (!hasRoom || takesTurns(ring)) return leastCapacity(ring);
  const wanted = blocks === 1 ? 2 : roomyCapacity(ring);
  const cheap = wanted * ring.blockBytes <= Math.max(ring.blockBytes, tcdm * CHEAP_SHARE);
  return blocks > 1 || cheap ? wanted : leastCapacity(ring);
}

/** The cores of one cluster write and read it: they never do both at the same time. */
const takesTurns = ({ writer, readers, cluster }: Ring): boolean =>
  [...readers.map((r) => r.node), writer].every(
    (n) => n !== null && n.cluster === cluster && n.op.kind !== MVM,
  );

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
