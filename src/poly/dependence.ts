/**
 * Which iterations of a producer an iteration of a consumer needs, and which iteration of the consumer is the
 * last to need a block of the producer: cmnnc's relations (arXiv 2003.04293), in closed form.
 *
 * With W: producer iteration -> elements and R: consumer iteration -> elements, `newest` is the
 * lexicographic maximum of W⁻¹ ∘ R, and `release` that of R⁻¹ ∘ W. cmnnc then takes the maximum over
 * the prefix of earlier iterations; steps run in order, so earlier iterations have already waited.
 */

import type { Domain, Relation, Select } from "../artifact/schedule.ts";
import { blocksOf, canonical, iterationsOf, type Side, tokensOf } from "./domain.ts";
import { evaluate, type Floor, floorDiv, gcd, plus } from "./floor.ts";

export interface Dependence {
  /** From an iteration of the consumer to the newest iteration of the producer that it reads. */
  readonly newest: Relation;
  /** From a block of the producer to the last iteration of the consumer that reads it. */
  readonly release: Relation;
  /** Blocks between the oldest and the newest that any one iteration of the consumer reads, both counted. */
  readonly span: number;
}

/** How iterations meet, once every axis has been looked at. */
interface Meeting {
  /** Iterations meet only within a batch; otherwise every batch meets every batch. */
  sameBatch: boolean;
  /** The consumer's selection along the producer's tokens; null: all of them. */
  tokens: Exclude<Select, "all" | "batch"> | null;
}

/** null when the two can only meet element by element in a way that selections do not express. */
export function dependence(writer: Side, reader: Side): Dependence | null {
  const meeting = meet(writer, reader);
  if (meeting === null) return null;
  const { sameBatch, tokens } = meeting;
  const batch = sameBatch ? "same" : null;
  const [p, c] = [writer.domain, reader.domain];
  const reads = tokens && tokensOf(tokens, c);
  return {
    newest: {
      batch: batch ?? lastBatch(p, c),
      token: reads ? clamped(floorDiv(reads.hi, p.block), p) : lastToken(p),
    },
    release: {
      batch: batch ?? lastBatch(c, p),
      token: reads?.lo ? clamped(lastReader(reads.lo, p, c), c) : lastToken(c),
    },
    span: spanOf(p, c, meeting),
  };
}

/** Without a constraint the newest of all batches; where there is one batch only, its plainest name. */
const lastBatch = (of: Domain, seenFrom: Domain): Relation["batch"] => {
  if (of.batch > 1) return "last";
  return seenFrom.batch > 1 ? "first" : "same";
};

const lastToken = (d: Domain): Relation["token"] => (blocksOf(d) === 1 ? "first" : "last");

const clamped = (f: Floor, d: Domain): Relation["token"] => (blocksOf(d) === 1 ? "first" : f);

/**
 * The last t of the consumer whose first token, lo(t) = block * t + add, is no later than the last token of
 * producer block u: floor(((u + 1) * p.block - 1 - add) / block).
 */
const lastReader = (lo: Floor, p: Domain, c: Domain): Floor =>
  floorDiv(plus({ mul: p.block, add: p.block - 1, div: 1 }, -lo.add), c.block);

function meet(writer: Side, reader: Side): Meeting | null {
  const meeting: Meeting = { sameBatch: false, tokens: null };
  for (const [axis, raw] of writer.select.entries()) {
    const read = reader.select[axis];
    if (read === undefined) throw new Error(`axis ${axis} of a buffer is not selected`);
    const written = canonical(raw, writer.domain);
    const wanted = canonical(read, reader.domain);
    if (!meetAxis(meeting, written, wanted, writer.domain, reader.domain)) return null;
  }
  return meeting;
}

function meetAxis(m: Meeting, written: Select, read: Select, p: Domain, c: Domain): boolean {
  if (written === "all" || read === "all") return true;
  if (written === "batch") {
    m.sameBatch = true;
    return read === "batch" && p.batch === c.batch;
  }
  if (read === "batch") return false;
  if (written === "row") {
    m.sameBatch = true;
    m.tokens = "row";
    return read === "row" && p.batch === c.batch && p.tokens === c.tokens;
  }
  m.tokens = read;
  return written === "token" && read !== "row";
}

/**
 * A read of w tokens that begins at a multiple of the consumer's block (plus a constant) begins, in
 * its producer block, at most at p.block - g + (constant mod g) with g = gcd of the blocks; so it spans at most
 * floor((that + w - 1) / p.block) + 1 blocks. Exact as soon as the domains are long enough to meet
 * that case, never too small.
 */
function spanOf(p: Domain, c: Domain, { sameBatch, tokens }: Meeting): number {
  const all = sameBatch ? blocksOf(p) : iterationsOf(p);
  const reads = tokens && tokensOf(tokens, c);
  if (!reads?.lo || (!sameBatch && p.batch > 1)) return all;
  const width = reads.hi.add - reads.lo.add + 1;
  const g = gcd(p.block, c.block);
  const start = p.block - g + modulo(reads.lo.add, g);
  return Math.min(all, Math.floor((start + width - 1) / p.block) + 1);
}

const modulo = (a: number, n: number): number => ((a % n) + n) % n;

/** Applies a relation to (b, t); `to` is the domain of the step it leads to. Gives the iteration's number. */
export function apply(relation: Relation, to: Domain, b: number, t: number): number {
  const n = blocksOf(to);
  const batch = relation.batch === "same" ? b : relation.batch === "first" ? 0 : to.batch - 1;
  const { token } = relation;
  if (token === "first") return batch * n;
  if (token === "last") return batch * n + n - 1;
  return batch * n + Math.min(n - 1, Math.max(0, evaluate(token, t)));
}
