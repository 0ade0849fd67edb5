/** Comparisons, logic, and choosing between values. The same bits. */

import { bytesPer, type Elem, isFloat } from "../../tensor/tensor.ts";
import { LOAD, STORE, unitOf } from "../copy.ts";
import { eachElement, type Spot } from "../elements.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import { V0, type X, ZERO } from "../register.ts";
import { given, number, wanted } from "../request.ts";
import { type Scalars, withScalars } from "../scalars.ts";
import {
  canChoose,
  canCompare,
  chooseVectors,
  combineVectors,
  type Relation,
  relateVectors,
  testVectors,
} from "./vector-compare.ts";

/** A truth from two elements. */
type Relate = <T>(k: PhaseAssembler, s: Scalars<T>, a: T, b: T) => X;

const relation =
  (relate: Relate, vectors: (k: PhaseAssembler, elem: Elem) => void): Generate =>
  (request) => {
    const { elem } = given(request, 0);
    if (given(request, 1).elem !== elem) throw new KernelGap("operands of different types");
    if (request.isa.vector && canCompare(elem)) return { phases: [(k) => vectors(k, elem)] };
    const compare = (k: PhaseAssembler): void => {
      withScalars(k, elem, (s) => {
        eachElement(k, 2, 2, (fixed) => {
          const [x, y] = fixed.map((spot) => spot && s.load(...spot));
          return (to, [a, b]) => {
            const truth = relate(k, s, x ?? s.load(...(a as Spot)), y ?? s.load(...(b as Spot)));
            k.emit("sb", truth, ...to);
          };
        });
      });
    };
    return { phases: [compare] };
  };

const related =
  (relation: Relation, operands: readonly [number, number]) =>
  (k: PhaseAssembler, elem: Elem): void =>
    relateVectors(k, elem, relation, operands);

const combined =
  (name: "vmand" | "vmor" | "vmxor") =>
  (k: PhaseAssembler): void =>
    combineVectors(k, name);

/** A truth from one element. */
const property = (k: PhaseAssembler, test: (spot: Spot) => X): void => {
  eachElement(
    k,
    1,
    2,
    () =>
      (to, [from]) =>
        k.emit("sb", test(from as Spot), ...to),
  );
};

const not: Generate = (request) => ({
  phases: [
    (k) => {
      if (request.isa.vector && given(request, 0).elem === "i1") {
        testVectors(k, (words) => k.to(V0, "vmseq.vi", words, 0));
        return;
      }
      withScalars(k, given(request, 0).elem, (s) => {
        property(k, (spot) => k.x("xori", s.truth(s.load(...spot)), 1));
      });
    },
  ],
});

/** Infinity's bits, at the top of a word. */
const INFINITE: Readonly<Record<string, number>> = {
  f32: 0x7f800000,
  f16: 0x7c000000,
  bf16: 0x7f800000,
};

/** A truth from an element's bits at the top of a word, its magnitude there, and that of infinity. */
function ofBits(k: PhaseAssembler, test: (word: X, magnitude: X, infinity: X) => X): void {
  const { elem } = given(k.request, 0);
  if (elem === "f64") {
    const infinity = k.li(0x7ff00000);
    property(k, ([offset, address]) => {
      const word = k.x("lw", offset + 4, address);
      const magnitude = k.x("srli", k.x("slli", word, 1), 1);
      // Digits of the lower word only say whether there are any.
      const some = k.x("sltu", ZERO, k.x("lw", offset, address));
      return test(word, k.x("or", magnitude, some), infinity);
    });
    return;
  }
  const bits = INFINITE[elem];
  if (!isFloat(elem) || bits === undefined) throw new KernelGap(`elements of type ${elem}`);
  const infinity = k.li(bits);
  property(k, (spot) => {
    const word = elem === "f32" ? k.x("lw", ...spot) : k.x("slli", k.x("lhu", ...spot), 16);
    return test(word, k.x("srli", k.x("slli", word, 1), 1), infinity);
  });
}

const isNone: Generate = ({ isa, operands }) => ({
  phases: [
    (k) => {
      if (isa.vector && operands[0]?.elem === "f32") {
        testVectors(k, (words) => k.to(V0, "vmfne.vv", words, words));
      } else ofBits(k, (_, magnitude, infinity) => k.x("sltu", infinity, magnitude));
    },
  ],
});

const isInfinite: Generate = (request) => {
  const [up, down] = ["detect_positive", "detect_negative"].map((n) => number(request, n, 1) !== 0);
  const test = (k: PhaseAssembler): void => {
    ofBits(k, (word, magnitude, infinity) => {
      const infinite = k.x("sltiu", k.x("xor", magnitude, infinity), 1);
      const negative = k.x("srli", word, 31);
      if (up && down) return infinite;
      if (up) return k.x("and", infinite, k.x("xori", negative, 1));
      return down ? k.x("and", infinite, negative) : k.copy(ZERO);
    });
  };
  return { phases: [test] };
};

/** Elements of any type: where the condition holds the second operand's, otherwise the third's. */
const where: Generate = (request) => {
  const { elem } = wanted(request);
  if (request.isa.vector && canChoose(elem)) return { phases: [(k) => chooseVectors(k, elem)] };
  const bytes = bytesPer(elem);
  const unit = unitOf(4, bytes);
  const offsets = Array.from({ length: bytes / unit }, (_, i) => i * unit);
  const choose = (k: PhaseAssembler): void => {
    eachElement(k, 3, 2, () => ([o, to], spots) => {
      const [[c, condition], [i, yes], [j, no]] = spots as [Spot, Spot, Spot];
      const chosen = k.newLabel();
      const values = offsets.map((w) => k.x(LOAD[unit], i + w, yes));
      k.branch("ne", k.x("lbu", c, condition), ZERO, chosen);
      for (const [n, w] of offsets.entries()) k.to(values[n] as X, LOAD[unit], j + w, no);
      k.label(chosen);
      for (const [n, w] of offsets.entries()) k.emit(STORE[unit], values[n] as X, o + w, to);
    });
  };
  return { phases: [choose] };
};

export const COMPARE: GeneratorTable = {
  Equal: relation((_, s, a, b) => s.equal(a, b), related("equal", [0, 1])),
  Less: relation((_, s, a, b) => s.less(a, b), related("less", [0, 1])),
  LessOrEqual: relation((_, s, a, b) => s.atMost(a, b), related("atMost", [0, 1])),
  Greater: relation((_, s, a, b) => s.less(b, a), related("less", [1, 0])),
  GreaterOrEqual: relation((_, s, a, b) => s.atMost(b, a), related("atMost", [1, 0])),
  And: relation((k, s, a, b) => k.x("and", s.truth(a), s.truth(b)), combined("vmand")),
  Or: relation((k, s, a, b) => k.x("or", s.truth(a), s.truth(b)), combined("vmor")),
  Xor: relation((k, s, a, b) => k.x("xor", s.truth(a), s.truth(b)), combined("vmxor")),
  Not: not,
  IsNaN: isNone,
  IsInf: isInfinite,
  Where: where,
};
