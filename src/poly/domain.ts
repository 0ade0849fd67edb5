/** Iteration domains (batch × token blocks) and what an iteration touches of one axis. */

import type { Domain, Select } from "../artifact/schedule.ts";
import { affine, type Floor } from "./floor.ts";

/** What one step does to one buffer: its iteration domain, and a selection per axis of the buffer. */
export interface Side {
  readonly domain: Domain;
  readonly select: readonly Select[];
}

export const ONE_SHOT: Domain = { batch: 1, tokens: 1, block: 1 };

/** Token blocks in a batch. */
export const blocksOf = (d: Domain): number => Math.ceil(d.tokens / d.block);

/** Iterations in an inference. */
export const iterationsOf = (d: Domain): number => d.batch * blocksOf(d);

/** Iteration (b, t) by its number within an inference. */
export function iterationAt(d: Domain, index: number): { readonly b: number; readonly t: number } {
  const n = blocksOf(d);
  return { b: Math.floor(index / n), t: index % n };
}

/**
 * One spelling for each meaning: with a batch of one, `batch` is the whole axis and `row` is `token`;
 * with a single token, `token` is the whole axis and `row` is `batch`.
 */
export function canonical(select: Select, d: Domain): Select {
  if (select === "row") return d.batch === 1 ? canonical("token", d) : rowOfBatch(d);
  if (select === "batch") return d.batch === 1 ? "all" : "batch";
  if (select === "token") return d.tokens === 1 ? "all" : "token";
  return select;
}

const rowOfBatch = (d: Domain): Select => (d.tokens === 1 ? "batch" : "row");

/** The interval of token positions that iteration t touches, before clamping to the axis; null: no lower end. */
export interface Tokens {
  readonly lo: Floor | null;
  readonly hi: Floor;
}

/**
 * Tokens behind `token`, `row`, `upto` and `window` as affine functions of the block number t. The last
 * block may be shorter: whoever uses `hi` clamps it, which is exact as long as the axis ends with it.
 */
export function tokensOf(select: Exclude<Select, "all" | "batch">, { block }: Domain): Tokens {
  const last = block - 1;
  if (select === "token" || select === "row") {
    return { lo: affine(block, 0), hi: affine(block, last) };
  }
  if ("upto" in select) return { lo: null, hi: affine(block, last + select.upto) };
  const { window, offset } = select;
  return { lo: affine(block, offset - window + 1), hi: affine(block, last + offset) };
}
