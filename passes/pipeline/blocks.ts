/**
 * How many tokens a block has, on each cluster.
 *
 * With n blocks, the first result leaves after every step has run once, and then one block follows the
 * other at the pace of the slowest cluster: time(t) = fill(t) + (n - 1) * pace(t). Large blocks spread the
 * cost of launching kernels over more tokens, small ones fill the pipeline sooner; the best t for the
 * whole model is searched. Then each cluster that has time to spare takes the smallest block that keeps
 * the pace: tile and cores of a node work on successive blocks, so its pace is the slower of the two
 * (arXiv 2411.17367, the balance of tile and PMCA).
 */

import type { Op, Value } from "../../src/ir/op.ts";
import { loraTcdmBytes } from "../../src/target/cost.ts";
import type { Target } from "../../src/target/schema.ts";
import type { Cost, Price } from "./cost.ts";
import { isWholeLayout, type Layout, type Space } from "./layout.ts";
import { type Blocks, blockBytesOf, clusterOf } from "./network.ts";
import type { Layouts, Placed } from "./propagate.ts";

/** Parallel tokens that the latency study of arXiv 2411.17367 considers, and smaller ones. */
const CHOICES = [1, 2, 4, 8, 16, 32, 64, 128] as const;

/** Of blocks that are about as fast, the largest: it launches fewer kernels and takes less energy. */
const NEARLY = 1.05;

export function chooseBlocks(
  layouts: Layouts,
  target: Target,
  price: Price,
  tokens: number | "auto",
): Blocks {
  if (tokens !== "auto") return () => tokens;
  const longest = Math.max(1, ...layouts.ops.map((p) => p.layout.space.tokens));
  const limits = clusterLimits(layouts, target);
  const largest = (cluster: number): number => limits.get(cluster) ?? longest;
  const at =
    (t: number): Blocks =>
    (cluster) =>
      Math.min(t, largest(cluster));
  const choices = CHOICES.filter((t) => t <= longest || t === 1);
  const timed = choices.map((t) => ({ t, time: predictedNs(layouts, price, at(t)) }));
  const least = Math.min(...timed.map((c) => c.time));
  const best = timed.findLast((c) => c.time <= least * NEARLY) ?? timed[0];
  return slackened(layouts, price, choices, at(best?.t ?? 1));
}

const tokensPerBlock = (space: Space, block: number): number => Math.min(space.tokens, block);

function costOf({ op, layout, reads }: Placed, price: Price, block: number): Cost {
  const whole = isWholeLayout(layout);
  const domain = { ...layout.space, block: tokensPerBlock(layout.space, block) };
  const writes = op.results.map((r) =>
    whole ? r.type.shape.map(() => "all" as const) : layout.select,
  );
  return price(op, { domain, reads, writes });
}

/** Nanoseconds per token of the slower of cores and tile, by cluster. */
function paces(layouts: Layouts, price: Price, blocks: Blocks): Map<number, number> {
  const sums = new Map<number, { digital: number; tile: number }>();
  for (const placed of layouts.ops) {
    if (isWholeLayout(placed.layout)) continue;
    const cluster = clusterOf(placed.op);
    const block = tokensPerBlock(placed.layout.space, blocks(cluster));
    const cost = costOf(placed, price, block);
    const sum = sums.get(cluster) ?? { digital: 0, tile: 0 };
    sum.digital += cost.digitalNs / block;
    sum.tile += cost.tileNs / block;
    sums.set(cluster, sum);
  }
  return new Map([...sums].map(([c, { digital, tile }]) => [c, Math.max(digital, tile)]));
}

function predictedNs(layouts: Layouts, price: Price, blocks: Blocks): number {
  let fill = 0;
  let tokens = 0;
  let smallest = Number.POSITIVE_INFINITY;
  for (const placed of layouts.ops) {
    const block = blocks(clusterOf(placed.op));
    const cost = costOf(placed, price, block);
    fill += cost.digitalNs + cost.tileNs;
    if (isWholeLayout(placed.layout)) continue;
    tokens = Math.max(tokens, placed.layout.space.batch * placed.layout.space.tokens);
    smallest = Math.min(smallest, tokensPerBlock(placed.layout.space, block));
  }
  const slowest = Math.max(0, ...paces(layouts, price, blocks).values());
  return fill + Math.max(0, tokens - smallest) * slowest;
}

/** The smallest block of each cluster that is no slower than the slowest cluster is anyway. */
function slackened(
  layouts: Layouts,
  price: Price,
  choices: readonly number[],
  blocks: Blocks,
): Blocks {
  const slowest = Math.max(0, ...paces(layouts, price, blocks).values());
  const chosen = new Map<number, number>();
  for (const t of [...choices].sort((a, b) => a - b)) {
    for (const [cluster, pace] of paces(layouts, price, () => t)) {
      if (t <= blocks(cluster) && pace <= slowest && !chosen.has(cluster)) chosen.set(cluster, t);
    }
  }
  return (cluster) => chosen.get(cluster) ?? blocks(cluster);
}

/**
 * The most tokens of which a block of every value and the operands of every side-branch fit the cluster's
 * memory. What does not fit for one token alone sets no limit: it lies outside in any case.
 */
function clusterLimits(layouts: Layouts, target: Target): ReadonlyMap<number, number> {
  const bytes = target.cluster.tcdmKiB.value * 1024;
  const limits = new Map<number, number>();
  for (const { op, layout } of layouts.ops) {
    const fits = (t: number): boolean =>
      op.results.every((r) => holds(r, layout, t, bytes)) && branchFits(op, t, bytes);
    if (op.kind !== "nn.lora" && !fits(1)) continue;
    const cluster = clusterOf(op);
    const most = CHOICES.findLast(fits) ?? 1;
    limits.set(cluster, Math.min(most, limits.get(cluster) ?? most));
  }
  return limits;
}

function holds(value: Value, { space, select }: Layout, tokens: number, bytes: number): boolean {
  const domain = { ...space, block: tokensPerBlock(space, tokens) };
  return !select.includes("token") && !select.includes("row")
    ? true
    : blockBytesOf(value, { domain, select }) <= bytes;
}

function branchFits(op: Op, tokens: number, bytes: number): boolean {
  if (op.kind !== "nn.lora") return true;
  const inputs = op.operands[0]?.type.shape.at(-1) ?? 1;
  const outputs = op.results[0]?.type.shape.at(-1) ?? 1;
  return loraTcdmBytes(tokens, inputs, outputs, rankOf(op.attrs["a"])) <= bytes;
}

/** A is [r, in]. */
function rankOf(a: unknown): number {
  const type = a as { readonly type?: { readonly shape: readonly number[] } } | undefined;
  return type?.type?.shape[0] ?? 1;
}
