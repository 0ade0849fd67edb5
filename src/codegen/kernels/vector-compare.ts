/** Comparisons and choices on cores with vectors. The same bits. */

import { bytesPer, type Elem } from "../../tensor/tensor.ts";
import type { PhaseAssembler } from "../kernel.ts";
import { type V, V0 } from "../register.ts";
import { isSigned, isWide } from "../scalars.ts";
import { eachVector, isVectorWord, type VectorElements } from "../vector-elements.ts";

export type Relation = "equal" | "less" | "atMost";

const NAMES: Readonly<Record<Relation, readonly [float: string, signed: string, not: string]>> = {
  equal: ["vmfeq.vv", "vmseq.vv", "vmseq.vv"],
  less: ["vmflt.vv", "vmslt.vv", "vmsltu.vv"],
  atMost: ["vmfle.vv", "vmsle.vv", "vmsleu.vv"],
};

export const canCompare = (elem: Elem): boolean => isVectorWord(elem) || isWide(elem);

/** The relation of two operands by their numbers. */
export function relateVectors(
  k: PhaseAssembler,
  elem: Elem,
  relation: Relation,
  [a, b]: readonly [number, number],
): void {
  const [float, signed, unsigned] = NAMES[relation];
  const name = elem === "f32" ? float : isSigned(elem) ? signed : unsigned;
  eachVector(k, 2, (e) => {
    if (isWide(elem)) relatePairs(e, elem, relation, [a, b]);
    else k.to(V0, name, e.words(a), e.words(b));
    e.storeMask();
  });
}

function relatePairs(
  e: VectorElements,
  elem: Elem,
  relation: Relation,
  [a, b]: readonly [number, number],
): void {
  const { k } = e;
  const [[low, high], [otherLow, otherHigh]] = [e.pair(a), e.pair(b)];
  const sameHigh = k.v(1, "vmseq.vv", high, otherHigh);
  const word = NAMES[relation][2];
  const byLow = k.v(1, "vmand.mm", sameHigh, k.v(1, word, low, otherLow));
  if (relation === "equal") k.to(V0, "vmand.mm", byLow, byLow);
  else {
    const less = elem === "i64" ? "vmslt.vv" : "vmsltu.vv";
    k.to(V0, "vmor.mm", byLow, k.v(1, less, high, otherHigh));
  }
}

/** Of two masks of truths. */
export function combineVectors(k: PhaseAssembler, name: "vmand" | "vmor" | "vmxor"): void {
  eachVector(k, 2, (e) => {
    const [a, b] = [0, 1].map((i) => k.v(1, "vmsne.vi", e.words(i), 0)) as [V, V];
    k.to(V0, `${name}.mm`, a, b);
    e.storeMask();
  });
}

/** A mask in v0 of one operand's words. */
export function testVectors(k: PhaseAssembler, test: (words: V) => void): void {
  eachVector(k, 1, (e) => {
    test(e.words(0));
    e.storeMask();
  });
}

export const canChoose = (elem: Elem): boolean => bytesPer(elem) === 8 || isVectorWord(elem);

/** Where the first operand holds the second's elements, otherwise the third's. */
export function chooseVectors(k: PhaseAssembler, elem: Elem): void {
  eachVector(k, 3, (e) => {
    const pick = (yes: V, no: V): V => k.v(yes.group, "vmerge.vvm", no, yes);
    e.maskOf(0);
    if (bytesPer(elem) !== 8) e.store(pick(e.words(1), e.words(2)));
    else {
      const [yes, no] = [e.pair(1), e.pair(2)];
      const low = pick(yes[0], no[0]);
      e.storePair(low, pick(yes[1], no[1]));
    }
  });
}
