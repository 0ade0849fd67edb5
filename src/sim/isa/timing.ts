/** What things take on a machine that runs machine code, in cycles of its clusters. */

import { fail, inFile } from "../../diag/diagnostic.ts";
import type { CoreTiming } from "../../iss/costs.ts";
import { transferNs } from "../../target/cost.ts";
import type { Target } from "../../target/schema.ts";

/** A vector unit of a target that says nothing about one does a register in a cycle. */
const VECTOR_BYTES = 16;

/** Errors: A624 when the target does not say what instructions take. */
export function coreTiming(target: Target): CoreTiming {
  const t = timingOf(target);
  return {
    load: t.loadLatency.value,
    multiply: t.multiplyLatency.value,
    divide: t.divideLatency.value,
    float: t.floatLatency.value,
    floatDivide: t.floatDivideLatency.value,
    takenBranch: t.takenBranch.value,
    far: Math.max(0, t.mainLatency.value - t.loadLatency.value),
    vectorBytes: t.vectorBytesPerCycle?.value ?? VECTOR_BYTES,
    vectorQueue: t.vectorQueue?.value ?? 0,
  };
}

export function timingOf(target: Target): NonNullable<Target["cluster"]["timing"]> {
  const { timing } = target.cluster;
  if (timing) return timing;
  const text = `target ${target.name} does not say how many cycles instructions take`;
  return fail(
    "A624",
    text,
    inFile(target.name),
    "add cluster.timing; docs/guide/add-a-target.md lists it",
  );
}

export const cyclesOf = (target: Target, ns: number): number =>
  Math.ceil((ns * target.cluster.clockMHz.value) / 1000 - 1e-9);

/**
 * Cycles that a transfer of rows takes once it has started: the slower of the DMA engine, which moves a row in whole
 * cycles, and the links between the clusters.
 */
export function transferCycles(
  target: Target,
  rowBytes: number,
  rows: number,
  links: number,
): number {
  const own = rows * Math.ceil(rowBytes / target.cluster.dmaBytesPerCycle.value);
  return Math.max(own, cyclesOf(target, transferNs(target, rowBytes * rows, links)));
}

/**
 * Cycles that a core loses because others use the bank that it needs. Assumption: all spread their accesses evenly over
 * time and banks, and of two that meet either waits a cycle, each as often as the other.
 */
export function bankConflicts(target: Target, own: number, others: number, cycles: number): number {
  if (cycles <= 0) return 0;
  return Math.round(
    (own * Math.min(others / cycles, target.cluster.cores.value)) /
      (2 * timingOf(target).tcdmBanks.value),
  );
}
