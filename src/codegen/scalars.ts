/** Elements of any type that a comparison can be asked of, in the registers of a scalar core. */

import type { Elem } from "../tensor/tensor.ts";
import { bytesPer, isFloat } from "../tensor/tensor.ts";
import { LOAD, type Unit } from "./copy.ts";
import { isZero } from "./double.ts";
import { atMostDouble, lessDouble } from "./double-convert.ts";
import { floatLoader, isHandled } from "./float-elements.ts";
import type { PhaseAssembler } from "./kernel.ts";
import { type F, type X, ZERO } from "./register.ts";
import { equalWide, lessWide, loadWide, type Wide } from "./wide.ts";

export const isWide = (elem: Elem): boolean => elem === "i64" || elem === "ui64";
export const isSigned = (elem: Elem): boolean => elem.startsWith("i") && elem !== "i1";

/** The instruction that loads an integer of at most 32 bits with its sign. */
export function loadOf(elem: Elem): string {
  const load = LOAD[bytesPer(elem) as Unit];
  return isSigned(elem) ? load.replace("u", "") : load;
}

/** How elements of a type are read and compared; truths are 1 or 0. */
export interface Scalars<T> {
  load(offset: number, address: X): T;
  /** Neither `equal` nor `less` nor `atMost` holds where one is NaN. */
  equal(a: T, b: T): X;
  less(a: T, b: T): X;
  atMost(a: T, b: T): X;
  /** Other than 0. */
  truth(a: T): X;
}

const not = (k: PhaseAssembler, a: X): X => k.x("xori", a, 1);

const floats = (k: PhaseAssembler, elem: Elem): Scalars<F> => {
  const zero = k.constant(0);
  return {
    load: floatLoader(k, elem),
    equal: (a, b) => k.x("feq.s", a, b),
    less: (a, b) => k.x("flt.s", a, b),
    atMost: (a, b) => k.x("fle.s", a, b),
    truth: (a) => not(k, k.x("feq.s", a, zero)),
  };
};

const doubles = (k: PhaseAssembler): Scalars<Wide> => ({
  load: (offset, address) => loadWide(k, offset, address),
  equal: (a, b) => k.x("and", atMostDouble(k, a, b), atMostDouble(k, b, a)),
  less: (a, b) => lessDouble(k, a, b),
  atMost: (a, b) => atMostDouble(k, a, b),
  truth: (a) => not(k, isZero(k, a)),
});

const wides = (k: PhaseAssembler, elem: Elem): Scalars<Wide> => {
  const less = (a: Wide, b: Wide): X => lessWide(k, a, b, elem === "i64");
  return {
    load: (offset, address) => loadWide(k, offset, address),
    equal: (a, b) => equalWide(k, a, b),
    less,
    atMost: (a, b) => not(k, less(b, a)),
    truth: ({ low, high }) => k.x("sltu", ZERO, k.x("or", low, high)),
  };
};

const words = (k: PhaseAssembler, elem: Elem): Scalars<X> => {
  const less = (a: X, b: X): X => k.x(isSigned(elem) ? "slt" : "sltu", a, b);
  const name = loadOf(elem);
  return {
    load: (offset, address) => k.x(name, offset, address),
    equal: (a, b) => k.x("sltiu", k.x("xor", a, b), 1),
    less,
    atMost: (a, b) => not(k, less(b, a)),
    truth: (a) => k.x("sltu", ZERO, a),
  };
};

/** Calls `use` with what the type needs; constants are made before. */
export function withScalars(
  k: PhaseAssembler,
  elem: Elem,
  use: <T>(scalars: Scalars<T>) => void,
): void {
  if (isHandled(elem)) use(floats(k, elem));
  else if (isFloat(elem)) use(doubles(k));
  else if (isWide(elem)) use(wides(k, elem));
  else use(words(k, elem));
}
