/** Operations on the bits of integers. The same bits. */

import { bytesPer, isFloat } from "../../tensor/tensor.ts";
import { LOAD, STORE, type Unit, unitOf } from "../copy.ts";
import { eachElement, type Spot } from "../elements.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import { type X, ZERO } from "../register.ts";
import { given, wanted, word } from "../request.ts";
import { isWide } from "../scalars.ts";
import { loadWide, shiftedLeft, shiftedRight, storeWide } from "../wide.ts";

/** Combines words: of 64 bits there are two. */
const bitwise =
  (name: string): Generate =>
  (request) => {
    const { elem } = wanted(request);
    if (isFloat(elem)) throw new KernelGap(`elements of type ${elem}`);
    const bytes = bytesPer(elem);
    const unit = unitOf(4, bytes);
    const combine = (k: PhaseAssembler): void => {
      eachElement(k, 2, bytes / unit + 1, () => ([o, to], spots) => {
        const [[i, a], [j, b]] = spots as [Spot, Spot];
        for (let w = 0; w < bytes; w += unit) {
          const both = k.x(name, k.x(LOAD[unit], i + w, a), k.x(LOAD[unit], j + w, b));
          k.emit(STORE[unit], both, o + w, to);
        }
      });
    };
    return { phases: [combine] };
  };

const not: Generate = (request) => {
  const bytes = bytesPer(wanted(request).elem);
  const unit = unitOf(4, bytes);
  const flip = (k: PhaseAssembler): void => {
    eachElement(k, 1, bytes / unit, () => ([o, to], spots) => {
      const [[i, a]] = spots as [Spot];
      for (let w = 0; w < bytes; w += unit) {
        k.emit(STORE[unit], k.x("xori", k.x(LOAD[unit], i + w, a), -1), o + w, to);
      }
    });
  };
  return { phases: [flip] };
};

const WORD_BITS = 32;

/** Only integers without sign are shifted; as many places as a word has, or more, leave nothing. */
const shift: Generate = (request) => {
  const { elem } = given(request, 0);
  const isLeft = word(request, "direction", "") === "LEFT";
  if (isWide(elem)) return { phases: [(k) => shiftWide(k, isLeft ? shiftedLeft : shiftedRight)] };
  const unit = bytesPer(elem) as Unit;
  const name = isLeft ? "sll" : "srl";
  const move = (k: PhaseAssembler): void => {
    eachElement(k, 2, 2, () => (to, [a, b]) => {
      const places = k.x(LOAD[unit], ...(b as Spot));
      const moved = k.x(name, k.x(LOAD[unit], ...(a as Spot)), places);
      k.emit(STORE[unit], k.x("and", moved, held(k, places)), ...to);
    });
  };
  return { phases: [move] };
};

function shiftWide(k: PhaseAssembler, shifted: typeof shiftedLeft): void {
  eachElement(k, 2, 8, () => (to, [a, b]) => {
    const places = loadWide(k, ...(b as Spot));
    const moved = shifted(k, loadWide(k, ...(a as Spot)), k.x("andi", places.low, 63));
    const beyond = k.x("or", k.x("srli", places.low, 6), places.high);
    const kept = k.x("sub", ZERO, k.x("sltiu", beyond, 1));
    const result = { low: k.x("and", moved.low, kept), high: k.x("and", moved.high, kept) };
    storeWide(k, result, ...to);
  });
}

/** All bits where a shift by so many places is one of less than a word, otherwise none. */
const held = (k: PhaseAssembler, places: X): X => k.x("sub", ZERO, k.x("sltiu", places, WORD_BITS));

export const BITS: GeneratorTable = {
  BitwiseAnd: bitwise("and"),
  BitwiseOr: bitwise("or"),
  BitwiseXor: bitwise("xor"),
  BitwiseNot: not,
  BitShift: shift,
};
