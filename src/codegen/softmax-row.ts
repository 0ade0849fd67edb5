/** The softmax of a row in place: its largest number, exponentials and their sum, their shares. */

import type { Assembler } from "./assembler.ts";
import { exponential } from "./exponential.ts";
import type { Isa } from "./isa.ts";
import type { Lanes } from "./lanes.ts";
import { type F, type X, ZERO } from "./register.ts";
import { alongRow, type Part } from "./row.ts";
import { ScalarLanes } from "./scalar-lanes.ts";

export interface SoftmaxRow {
  /** Of the scores, which become weights. */
  readonly address: X;
  /** 0 is possible. */
  readonly count: X;
  /** Numbers that are added to the scores first: one for each, or the same for all (null without). */
  readonly mask: { readonly address: X; readonly step: 0 | 1 } | null;
  /** The score of one more element, which takes its share and is not written. */
  readonly sink: F | null;
}

/** A row whose sum is NaN, as where all scores are minus infinity, becomes zeros. */
export function softmaxRow(k: Assembler, isa: Isa, row: SoftmaxRow): void {
  const { address, count, sink } = row;
  const top = largestOf(k, isa, row);
  const total = sink ? shareOf(k, sink, top) : k.f("fmv.w.x", ZERO);
  inPlace(k, isa, row, (l) => {
    const e = exponential(l, "zero");
    return (value, part) => {
      const result = e(l.sub(value, top));
      part.total(total, result);
      return result;
    };
  });
  const isNumber = k.x("feq.s", total, total);
  const share = k.f("fdiv.s", k.constant(1), total);
  k.when(
    "ne",
    isNumber,
    ZERO,
    () => inPlace(k, isa, row, (l) => (value) => l.mul(value, share)),
    () => fillZero(k, isa, address, count),
  );
}

type Change = <T, I>(l: Lanes<T, I>) => (value: T, part: Part<T>) => T;

function inPlace(k: Assembler, isa: Isa, { address, count }: SoftmaxRow, make: Change): void {
  const at = k.copy(address);
  alongRow(k, isa, { count, pointers: [at] }, (l) => {
    const change = make(l);
    return (part) => part.store(change(part.load(at), part), at);
  });
}

/** Finishes the scores and gives the largest. */
function largestOf(k: Assembler, isa: Isa, { address, count, mask, sink }: SoftmaxRow): F {
  const top = sink ? k.f("fsgnj.s", sink, sink) : k.constant(Number.NEGATIVE_INFINITY);
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

/** e^(score - top). */
function shareOf(k: Assembler, score: F, top: F): F {
  const lanes = new ScalarLanes(k);
  const [share] = exponential(lanes, "zero")([k.f("fsub.s", score, top)]);
  if (!share) throw new Error("a lane without a result");
  return share;
}

export function fillZero(k: Assembler, isa: Isa, address: X, count: X): void {
  const to = k.copy(address);
  const zero = k.f("fmv.w.x", ZERO);
  alongRow(k, isa, { count, pointers: [to] }, () => (part) => {
    part.store(part.same(zero), to);
  });
}
