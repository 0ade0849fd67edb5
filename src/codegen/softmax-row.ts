/**
 * A row of a softmax in parts (Milakov and Gimelshein, arXiv 1805.02867): what is known of it so far are its largest
 * score and the sum of the exponentials below that. What was weighed by an older largest score is brought to the newer.
 */

import type { Assembler } from "./assembler.ts";
import { exponential } from "./exponential.ts";
import type { Isa } from "./isa.ts";
import type { Lanes } from "./lanes.ts";
import { type F, type X, ZERO } from "./register.ts";
import { alongRow, type Part } from "./row.ts";
import { ScalarLanes } from "./scalar-lanes.ts";

/** Bytes of a row's state: its largest score, and its sum. */
export const STATE_BYTES = 8;
const [LARGEST, SUM] = [0, 4];

export interface RowPart {
  /** Of the scores, which become weights: exponentials that the sum is not yet divided out of. */
  readonly address: X;
  /** 0 is possible. */
  readonly count: X;
  /** Numbers that are added to the scores first: one for each, or the same for all (null without). */
  readonly mask: { readonly address: X; readonly step: 0 | 1 } | null;
  /** What is known of the row so far; null where it is nothing. */
  readonly before: State | null;
}

interface State {
  readonly largest: F;
  readonly sum: F;
}

/** The state of a row of which only an element is known that takes its share and is not written. */
export const sinkState = (k: Assembler, sink: F): State => ({
  largest: sink,
  sum: weightOf(k, sink, finite(k, sink)),
});

const nothing = (k: Assembler): State => ({
  largest: k.constant(Number.NEGATIVE_INFINITY),
  sum: k.f("fmv.w.x", ZERO),
});

export function saveState(k: Assembler, at: X, state: State | null): void {
  const { largest, sum } = state ?? nothing(k);
  k.emit("fsw", largest, LARGEST, at);
  k.emit("fsw", sum, SUM, at);
}

export const savedState = (k: Assembler, at: X): State => ({
  largest: k.f("flw", LARGEST, at),
  sum: k.f("flw", SUM, at),
});

/** Weighs the scores of a part. Gives what is known then, and what the weights of the parts before count from now on. */
export function weighPart(
  k: Assembler,
  isa: Isa,
  part: RowPart,
): { readonly state: State; readonly older: F } {
  const { largest, sum } = part.before ?? nothing(k);
  const top = largestOf(k, isa, part, largest);
  const base = finite(k, top);
  const older = part.before ? weightOf(k, largest, base) : sum;
  const total = part.before ? k.f("fmul.s", sum, older) : sum;
  inPlace(k, isa, part, (l) => {
    const e = exponential(l, "zero");
    return (value, p) => {
      const result = e(l.sub(value, base));
      p.total(total, result);
      return result;
    };
  });
  return { state: { largest: top, sum: total }, older };
}

/**
 * Divides what the weights gave by their sum. Where that is NaN, or nothing was weighed, as where all scores are minus
 * infinity, the result is zeros.
 */
export function endRow(k: Assembler, isa: Isa, { sum }: State, row: Stretch): void {
  k.when(
    "ne",
    k.x("flt.s", k.f("fmv.w.x", ZERO), sum),
    ZERO,
    () => scaleRow(k, isa, row, k.f("fdiv.s", k.constant(1), sum)),
    () => fillZero(k, isa, row.address, row.count),
  );
}

export function scaleRow(k: Assembler, isa: Isa, row: Stretch, by: F): void {
  inPlace(k, isa, row, (l) => (value) => l.mul(value, by));
}

interface Stretch {
  readonly address: X;
  readonly count: X;
}

type Change = <T, I>(l: Lanes<T, I>) => (value: T, part: Part<T>) => T;

function inPlace(k: Assembler, isa: Isa, { address, count }: Stretch, make: Change): void {
  const at = k.copy(address);
  alongRow(k, isa, { count, pointers: [at] }, (l) => {
    const change = make(l);
    return (part) => part.store(change(part.load(at), part), at);
  });
}

/** Finishes the scores and gives the largest of them and one more. */
function largestOf(k: Assembler, isa: Isa, { address, count, mask }: RowPart, and: F): F {
  const top = k.f("fsgnj.s", and, and);
  const scores = k.copy(address);
  const masks = mask && k.copy(mask.address);
  const moving = masks && mask.step === 1 ? [scores, masks] : [scores];
  const one = masks && mask.step === 0 ? k.f("flw", 0, masks) : null;
  alongRow(k, isa, { count, pointers: moving }, (l) => {
    return (part) => {
      let value = part.load(scores);
      if (masks) value = l.add(value, one ?? part.load(masks));
      if (masks) part.store(value, scores);
      part.largest(top, value);
    };
  });
  return top;
}

/** The score, or 0 for minus infinity: what differences from it are never NaN where scores are numbers. */
function finite(k: Assembler, score: F): F {
  const result = k.f("fsgnj.s", score, score);
  const none = k.x("feq.s", score, k.constant(Number.NEGATIVE_INFINITY));
  k.when("ne", none, ZERO, () => k.to(result, "fmv.w.x", ZERO));
  return result;
}

/** e^(score - base). */
function weightOf(k: Assembler, score: F, base: F): F {
  const lanes = new ScalarLanes(k);
  const [weight] = exponential(lanes, "zero")([k.f("fsub.s", score, base)]);
  if (!weight) throw new Error("a lane without a result");
  return weight;
}

export function fillZero(k: Assembler, isa: Isa, address: X, count: X): void {
  const to = k.copy(address);
  const zero = k.f("fmv.w.x", ZERO);
  alongRow(k, isa, { count, pointers: [to] }, () => (part) => {
    part.store(part.same(zero), to);
  });
}
