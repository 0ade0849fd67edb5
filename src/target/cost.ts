/**
 * What things cost on a target: nanoseconds and nanojoules, from its constants alone. Pure functions; the
 * scheduler predicts with them, the simulator and the report account with them.
 */

import type { Target } from "./schema.ts";
import type { Work } from "./work.ts";

/**
 * Time of `tokens` vectors through one tile of which `cols` columns are used: the affine stage is
 * pipelined behind the integration, so each vector takes the longer of the two and the last drains.
 */
export function mvmNs(target: Target, tokens: number, cols: number): number {
  if (tokens === 0) return 0;
  const integrate = target.tile.mvmNs.value;
  const affine = cols * target.tile.affineNsPerColumn.value;
  return tokens * Math.max(integrate, affine) + Math.min(integrate, affine);
}

/** Energy of `tokens` vectors through `blocks` tiles. */
export const mvmNj = (target: Target, tokens: number, blocks: number): number =>
  tokens * blocks * target.tile.mvmNj.value;

/** Cycles of a cluster for a digital kernel: its launches, its matrix products, its elements. */
function kernelCycles(target: Target, work: Work): number {
  const { launchCycles, macsPerCycle, macUtilisation, cyclesPerElement } = target.cluster;
  const perElement = cyclesPerElement[work.family] ?? cyclesPerElement["elementwise"];
  if (!perElement) throw new Error(`target ${target.name} has no cost for elementwise kernels`);
  return (
    work.launches * launchCycles.value +
    work.macs / (macsPerCycle.value * macUtilisation.value) +
    work.elements * perElement.value
  );
}

export const cyclesToNs = (target: Target, cycles: number): number =>
  (cycles * 1000) / target.cluster.clockMHz.value;

export const kernelNs = (target: Target, work: Work): number =>
  cyclesToNs(target, kernelCycles(target, work));

export const kernelNj = (target: Target, work: Work): number =>
  kernelCycles(target, work) * target.cluster.njPerCycle.value;

/** A LoRA branch of `rank` beside an [inputs, outputs] linear, for `tokens` tokens; two matrix products. */
export const loraWork = (tokens: number, inputs: number, outputs: number, rank: number): Work => ({
  family: "elementwise",
  elements: 0,
  macs: tokens * rank * (inputs + outputs),
  launches: 2,
});

/**
 * TCDM bytes that a LoRA branch needs for t tokens in 16 bits: 2 (tM + Mr + rN + tN + tr). The text of
 * arXiv 2411.17367 v4 gives the first three terms; with all five its four numbers come out.
 */
export const loraTcdmBytes = (
  tokens: number,
  inputs: number,
  outputs: number,
  rank: number,
): number => 2 * (tokens * (inputs + outputs + rank) + rank * (inputs + outputs));

/** Columns of the grid on which `count` nodes stand: as near a square as they fit, row by row. */
export const gridColumns = (count: number): number => Math.max(1, Math.ceil(Math.sqrt(count)));

/**
 * Links between two of `count` nodes. Nodes fill a near-square grid row by row; `5pp` has links of
 * one row, and of one and two columns (Dazzi et al., IEEE TC 70(6), 2021, as built in arXiv 2212.02872).
 */
export function hops(target: Target, count: number, from: number, to: number): number {
  if (from === to) return 0;
  const columns = gridColumns(count);
  const down = Math.abs(Math.floor(from / columns) - Math.floor(to / columns));
  const across = Math.abs((from % columns) - (to % columns));
  switch (target.fabric.topology) {
    case "mesh":
      return down + across;
    case "5pp":
      return down + Math.ceil(across / 2);
    case "full":
    case "bus":
      return 1;
  }
}

/** Time of a transfer over `links` links: the head's hops, then the body at the link's rate. Local: nothing. */
export function transferNs(target: Target, bytes: number, links: number): number {
  if (links === 0) return 0;
  return links * target.fabric.hopNs.value + bytes / target.fabric.linkBytesPerNs.value;
}

/** Energy of a transfer: each byte pays on each link that it crosses. */
export const transferNj = (target: Target, bytes: number, links: number): number =>
  links * bytes * target.fabric.njPerByte.value;

/** The number of nodes there are, or null when there are as many as a model needs. */
export const nodeLimit = (target: Target): number | null =>
  target.nodes.count === "as-needed" ? null : target.nodes.count;
