/**
 * A region as the parts of it that lie in one block each.
 *
 * A value lies in blocks, one an iteration of who writes it, each row-major for itself. A region may be one block, a
 * part of one, or go over many: then code walks over them in loops.
 */

import type { Domain, Select } from "../../artifact/schedule.ts";
import { KernelGap } from "../kernel.ts";
import { type At, type Range, rangesOf, sameDomain, tokenBlocks, tokensOf } from "./ranges.ts";
import type { Calc, Value } from "./value.ts";

/** A value in blocks: a ring, or a constant as a single block. */
export interface Blocks {
  readonly shape: readonly number[];
  readonly select: readonly Select[];
  readonly domain: Domain;
}

/** A region of such a value that each iteration of a domain reads. */
export interface Read {
  readonly blocks: Blocks;
  readonly select: readonly Select[];
  readonly domain: Domain;
}

/** One axis of a part: `count` indices, from where on in the block and in the region, and how long it is in both. */
export interface PartAxis {
  readonly count: Value;
  readonly from: Value;
  readonly extent: Value;
  readonly to: Value;
  readonly size: Value;
}

export interface Part {
  /** The block's batch and token block. */
  readonly at: At;
  readonly axes: readonly PartAxis[];
}

/** Tokens of one batch that are wanted, and how many blocks they can be in. */
interface Wanted extends Range {
  /** The number of the one block that has them; null where there may be several. */
  readonly block: Value | null;
  /** They are all that the block has. */
  readonly whole: boolean;
  /** They are all that the region selects of this axis. */
  readonly alike: boolean;
}

/** Makes code that does `body` for every part; true where there is always exactly one. Errors: KernelGap. */
export function eachPart(c: Calc, read: Read, at: At, body: (part: Part) => void): boolean {
  const { blocks, select, domain } = read;
  const ranges = rangesOf(c, select, domain, blocks.shape, at);
  const axis = axisOf(blocks);
  const one = oneBatch(read, axis, at);
  const inBatch = (bb: Value): boolean => {
    const wanted = wantedIn(c, read, axis, ranges, at, bb);
    const part = (bt: Value) => body(partOf(c, blocks, axis, ranges, wanted, { b: bb, t: bt }));
    if (wanted.block !== null) {
      part(wanted.block);
      return true;
    }
    const { block } = blocks.domain;
    const end = c.ceil(c.add(wanted.lo, wanted.size), block);
    c.k.range(c.div(wanted.lo, block), end, 1, part);
    return false;
  };
  if (one !== null) return inBatch(one);
  const { lo, size } = ranges[axis.batch ?? axis.row ?? 0] ?? { lo: 0, size: 0 };
  const per = axis.row === null ? 1 : blocks.domain.tokens;
  const end = c.ceil(c.add(lo, size), per);
  c.k.range(c.div(lo, per), end, 1, (bb) => void inBatch(bb));
  return false;
}

/** Which axis of the value goes with batches, tokens, or both flattened. */
interface Axes {
  readonly batch: number | null;
  readonly token: number | null;
  readonly row: number | null;
}

function axisOf({ select, domain }: Blocks): Axes {
  const find = (s: Select): number | null => (select.includes(s) ? select.indexOf(s) : null);
  const axes = { batch: find("batch"), token: find("token"), row: find("row") };
  const known = select.every((s) => typeof s === "string");
  const batches = domain.batch === 1 || axes.batch !== null || axes.row !== null;
  const tokens = tokenBlocks(domain) === 1 || axes.token !== null || axes.row !== null;
  if (!known || !batches || !tokens) throw new KernelGap("a buffer whose blocks overlap");
  return axes;
}

/** The batch of all blocks that an iteration reads; null where there may be several. */
function oneBatch({ blocks, select, domain }: Read, axis: Axes, at: At): Value | null {
  if (blocks.domain.batch === 1) return 0;
  if (axis.batch !== null) return select[axis.batch] === "batch" ? at.b : null;
  const rows = axis.row !== null && select[axis.row] === "row";
  return rows && domain.tokens === blocks.domain.tokens ? at.b : null;
}

function wantedIn(
  c: Calc,
  { blocks, select, domain }: Read,
  axis: Axes,
  ranges: readonly Range[],
  at: At,
  bb: Value,
): Wanted {
  const own = blocks.domain;
  const along = axis.token ?? axis.row;
  if (along === null) return { lo: 0, size: own.tokens, block: 0, whole: true, alike: true };
  const how = select[along];
  const alike = how === "token" || (how === "row" && domain.tokens === own.tokens);
  const range = alike ? tokensOf(c, domain, at.t) : inRow(c, own, axis, ranges[along], bb);
  const same = alike && sameDomain({ ...domain, batch: own.batch }, own);
  const whole = same || (tokenBlocks(own) === 1 && covers(range, own));
  const one = { ...range, whole, alike };
  if (tokenBlocks(own) === 1) return { ...one, block: 0 };
  if (!alike || own.block % domain.block !== 0) return { ...one, block: null };
  return { ...one, block: c.div(at.t, own.block / domain.block) };
}

const covers = ({ lo, size }: Range, { tokens }: Domain): boolean => lo === 0 && size === tokens;

/** Of an axis of rows, the tokens that belong to a batch. */
function inRow(c: Calc, own: Domain, axis: Axes, range: Range | undefined, bb: Value): Range {
  const { lo, size } = range ?? { lo: 0, size: 0 };
  if (axis.row === null || own.batch === 1) return { lo, size };
  const start = c.mul(bb, own.tokens);
  const from = c.max(0, c.sub(lo, start));
  const end = c.min(own.tokens, c.sub(c.add(lo, size), start));
  return { lo: from, size: c.sub(end, from) };
}

function partOf(
  c: Calc,
  blocks: Blocks,
  axis: Axes,
  ranges: readonly Range[],
  wanted: Wanted,
  at: At,
): Part {
  const along = axis.token ?? axis.row;
  const axes = ranges.map(({ lo, size }, i): PartAxis => {
    const extent = blocks.shape[i] ?? 1;
    if (i === axis.batch) return { count: 1, from: 0, extent: 1, to: c.sub(at.b, lo), size };
    if (i !== along) return { count: size, from: lo, extent, to: 0, size };
    const { first, ...cut } = cutOf(c, blocks.domain, wanted, at.t);
    if (wanted.alike || i !== axis.row)
      return { ...cut, to: c.sub(first, wanted.lo), size: wanted.size };
    const start = c.mul(at.b, blocks.domain.tokens);
    return { ...cut, to: c.sub(c.add(start, first), lo), size };
  });
  return { at, axes };
}

/** What of a block's tokens is wanted: from the token `first` on. */
function cutOf(
  c: Calc,
  own: Domain,
  { lo, size, block, whole }: Wanted,
  t: Value,
): Pick<PartAxis, "count" | "from" | "extent"> & { readonly first: Value } {
  if (whole) return { count: size, from: 0, extent: size, first: lo };
  const has = tokensOf(c, own, t);
  if (block !== null) return { count: size, from: c.sub(lo, has.lo), extent: has.size, first: lo };
  const first = c.max(lo, has.lo);
  const end = c.min(c.add(lo, size), c.add(has.lo, has.size));
  return { count: c.sub(end, first), from: c.sub(first, has.lo), extent: has.size, first };
}
