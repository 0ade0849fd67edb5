/**
 * Iterations, and what they touch: the arithmetic of schedule.json's doc comments, written from them
 * alone, so that the compiler's own analysis is judged by a second reading.
 */

import type { Domain, Relation, Select } from "../artifact/schedule.ts";

/** Token blocks of a batch. */
const tokenBlocks = (d: Domain): number => Math.ceil(d.tokens / d.block);

/** Iterations of one inference. */
export const iterations = (d: Domain): number => d.batch * tokenBlocks(d);

/** Iteration i of an inference as (b, t). */
export function position(d: Domain, i: number): { readonly b: number; readonly t: number } {
  const n = tokenBlocks(d);
  return { b: Math.floor(i / n), t: i % n };
}

/** Half-open interval of indices of one axis. */
export type Range = readonly [lo: number, hi: number];

/** The indices of an axis of size `dim` that iteration (b, t) touches; empty ranges are possible. */
function rangeOf(select: Select, d: Domain, dim: number, b: number, t: number): Range {
  const first = t * d.block;
  const end = Math.min(d.tokens, first + d.block);
  if (select === "all") return [0, dim];
  if (select === "batch") return [b, b + 1];
  if (select === "token") return [first, end];
  if (select === "row") return [b * d.tokens + first, b * d.tokens + end];
  if ("upto" in select) return clip(0, end + select.upto, dim);
  return clip(first + select.offset - select.window + 1, end + select.offset, dim);
}

const clip = (lo: number, hi: number, dim: number): Range => {
  const from = Math.min(Math.max(lo, 0), dim);
  return [from, Math.max(from, Math.min(hi, dim))];
};

/** The iteration (within an inference) of a step with domain `to` that a relation names from (b, t). */
export function related(relation: Relation, to: Domain, b: number, t: number): number {
  const n = tokenBlocks(to);
  const batch = relation.batch === "same" ? b : relation.batch === "first" ? 0 : to.batch - 1;
  const { token } = relation;
  if (token === "first") return batch * n;
  if (token === "last") return batch * n + n - 1;
  const block = Math.floor((token.mul * t + token.add) / token.div);
  return batch * n + Math.min(n - 1, Math.max(0, block));
}

/** Ranges of all axes of a value. */
export const regionOf = (
  select: readonly Select[],
  d: Domain,
  shape: readonly number[],
  i: number,
): readonly Range[] => {
  const { b, t } = position(d, i);
  return select.map((s, axis) => rangeOf(s, d, shape[axis] ?? 0, b, t));
};

export const volume = (ranges: readonly Range[]): number =>
  ranges.reduce((product, [lo, hi]) => product * (hi - lo), 1);

/** The indices in both, or null when there are none. */
export function overlap(a: readonly Range[], b: readonly Range[]): readonly Range[] | null {
  const both: Range[] = [];
  for (const [axis, [lo, hi]] of a.entries()) {
    const [from, to] = b[axis] ?? [0, 0];
    const range: Range = [Math.max(lo, from), Math.min(hi, to)];
    if (range[0] >= range[1]) return null;
    both.push(range);
  }
  return both;
}

/** Share of a full iteration's work that iteration i has: the last token block may be shorter. */
export function share(d: Domain, i: number): number {
  const { t } = position(d, i);
  return (Math.min(d.tokens, (t + 1) * d.block) - t * d.block) / d.block;
}
