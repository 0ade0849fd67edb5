/**
 * Iterations and what they touch, as src/artifact/schedule.ts says, in numbers that code computes while it runs or
 * that are known when it is made.
 */

import type { Domain, Relation, Select } from "../../artifact/schedule.ts";
import type { Calc, Value } from "./value.ts";

/** Token blocks of a batch. */
export const tokenBlocks = (d: Domain): number => Math.ceil(d.tokens / d.block);

/** Iterations of one inference. */
export const iterations = (d: Domain): number => d.batch * tokenBlocks(d);

export const sameDomain = (a: Domain, b: Domain): boolean =>
  a.batch === b.batch && a.tokens === b.tokens && a.block === b.block;

/** An iteration of an inference: batch and token block. */
export interface At {
  readonly b: Value;
  readonly t: Value;
}

/** Indices of an axis: `size` of them from `lo` on. */
export interface Range {
  readonly lo: Value;
  readonly size: Value;
}

/** The tokens of a token block. */
export function tokensOf(c: Calc, d: Domain, t: Value): Range {
  if (d.block >= d.tokens) return { lo: 0, size: d.tokens };
  const lo = c.mul(t, d.block);
  const size = d.tokens % d.block === 0 ? d.block : c.min(d.block, c.sub(d.tokens, lo));
  return { lo, size };
}

/** The indices of an axis of size `dim` that an iteration touches; there may be none. */
function rangeOf(c: Calc, select: Select, d: Domain, dim: number, at: At): Range {
  if (select === "all") return { lo: 0, size: dim };
  if (select === "batch") return { lo: at.b, size: 1 };
  const tokens = tokensOf(c, d, at.t);
  if (select === "token") return tokens;
  if (select === "row") return { lo: c.add(c.mul(at.b, d.tokens), tokens.lo), size: tokens.size };
  const end = c.add(tokens.lo, tokens.size);
  const clipped = (v: Value): Value => c.min(c.max(v, 0), dim);
  if ("upto" in select) return { lo: 0, size: clipped(c.add(end, select.upto)) };
  const lo = clipped(c.add(tokens.lo, select.offset - select.window + 1));
  const hi = c.max(lo, clipped(c.add(end, select.offset)));
  return { lo, size: c.sub(hi, lo) };
}

export function rangesOf(
  c: Calc,
  select: readonly Select[],
  d: Domain,
  shape: readonly number[],
  at: At,
): readonly Range[] {
  return select.map((s, axis) => rangeOf(c, s, d, shape[axis] ?? 0, at));
}

/** The iteration, within an inference, of a step with domain `to` that a relation names. */
export function related(c: Calc, relation: Relation, to: Domain, at: At): Value {
  const n = tokenBlocks(to);
  const batches = { same: at.b, first: 0, last: to.batch - 1 };
  const first = c.mul(batches[relation.batch], n);
  const { token } = relation;
  if (token === "first") return first;
  if (token === "last") return c.add(first, n - 1);
  const moved = c.max(0, c.add(c.mul(at.t, token.mul), token.add));
  return c.add(first, c.min(n - 1, c.div(moved, token.div)));
}

/** Whether a relation names the iteration with the same number. */
export const isIdentity = ({ batch, token }: Relation, from: Domain, to: Domain): boolean =>
  batch === "same" &&
  from.batch === to.batch &&
  tokenBlocks(from) === tokenBlocks(to) &&
  typeof token === "object" &&
  token.mul === token.div &&
  token.add >= 0 &&
  token.add < token.div;
