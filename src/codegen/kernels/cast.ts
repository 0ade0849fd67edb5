/**
 * Conversion between element types. The same bits: floats lose what is behind their point; what an integer type does
 * not hold becomes the least integer of 32 or 64 bits, of which a narrower type keeps the low bits (as on x86).
 */

import { bytesPer, type Elem, isFloat, sizeOf } from "../../tensor/tensor.ts";
import { copyWalk, STORE, type Unit } from "../copy.ts";
import { isZero } from "../double.ts";
import { doubleOfFloat, doubleOfWide, singleBits, wideOfDouble } from "../double-convert.ts";
import { floatLoader, floatStorer, truthOf } from "../float-elements.ts";
import type { Generate, GeneratorTable, PhaseAssembler } from "../kernel.ts";
import { type F, type X, ZERO } from "../register.ts";
import { given, wanted } from "../request.ts";
import { isSigned, isWide, loadOf } from "../scalars.ts";
import { unrolled } from "../unrolled.ts";
import { eachRun } from "../walk.ts";
import { loadWide, storeWide, type Wide, widened } from "../wide.ts";
import { floatOfWide, wideOfFloat } from "../wide-float.ts";
import { canCast, castVectors } from "./vector-cast.ts";

type Convert = (from: readonly [number, X], to: readonly [number, X]) => void;

function fromFloat(k: PhaseAssembler, from: Elem, to: Elem): Convert {
  const load = floatLoader(k, from);
  if (isFloat(to)) {
    const store = floatStorer(k, to);
    return (a, b) => store(load(...a), ...b);
  }
  if (to === "i1") return (a, b) => k.emit("sb", truthOf(k, load(...a)), ...b);
  if (isWide(to)) {
    return (a, b) => storeWide(k, wideOfFloat(k, load(...a), to === "i64"), ...b);
  }
  const store = wordStorer(k, to);
  if (to === "ui32") return (a, b) => store(wideOfFloat(k, load(...a), true).low, ...b);
  const bound = k.constant(2 ** 31);
  return (a, b) => store(truncated(k, load(...a), bound), ...b);
}

const ROUND_TO_ZERO = 1;

/** NaN and what lies above the bound are not less than it. */
function truncated(k: PhaseAssembler, value: F, bound: F): X {
  const whole = k.x("fcvt.w.s", value, ROUND_TO_ZERO);
  const held = k.x("flt.s", value, bound);
  k.when("eq", held, ZERO, () => k.to(whole, "lui", 0x80000));
  return whole;
}

function wordStorer(k: PhaseAssembler, to: Elem): (value: X, offset: number, address: X) => void {
  const store = STORE[bytesPer(to) as Unit];
  return (value, offset, address) => {
    const low = to === "i4" || to === "ui4" ? k.x("slli", value, 28) : value;
    const kept = low === value ? value : k.x(to === "i4" ? "srai" : "srli", low, 28);
    k.emit(store, kept, offset, address);
  };
}

function fromWide(k: PhaseAssembler, from: Elem, to: Elem): Convert {
  if (isFloat(to)) {
    const store = floatStorer(k, to);
    return (a, b) => store(floatOfWide(k, loadWide(k, ...a), from === "i64"), ...b);
  }
  if (isWide(to)) return (a, b) => storeWide(k, loadWide(k, ...a), ...b);
  if (to === "i1") {
    const any = ({ low, high }: Wide): X => k.x("sltu", ZERO, k.x("or", low, high));
    return (a, b) => k.emit("sb", any(loadWide(k, ...a)), ...b);
  }
  const store = wordStorer(k, to);
  return (a, b) => store(k.x("lw", ...a), ...b);
}

function fromWord(k: PhaseAssembler, from: Elem, to: Elem): Convert {
  const load = loadOf(from);
  if (isFloat(to)) {
    const [store, convert] = [floatStorer(k, to), from === "ui32" ? "fcvt.s.wu" : "fcvt.s.w"];
    return (a, b) => store(k.f(convert, k.x(load, ...a)), ...b);
  }
  if (to === "i1") return (a, b) => k.emit("sb", k.x("sltu", ZERO, k.x(load, ...a)), ...b);
  if (isWide(to)) {
    return (a, b) => {
      const low = k.x(load, ...a);
      storeWide(k, { low, high: isSigned(from) ? k.x("srai", low, 31) : ZERO }, ...b);
    };
  }
  const store = wordStorer(k, to);
  return (a, b) => store(k.x(load, ...a), ...b);
}

function fromDouble(k: PhaseAssembler, to: Elem): Convert {
  if (isFloat(to)) {
    // A bfloat is the rounding of a number of single precision that was rounded before; a half of one that was not.
    const rounding = to === "f16" ? "odd" : "even";
    const store = floatStorer(k, to);
    return (a, b) => store(k.f("fmv.w.x", singleBits(k, loadWide(k, ...a), rounding)), ...b);
  }
  if (to === "i1") {
    return (a, b) => k.emit("sb", k.x("xori", isZero(k, loadWide(k, ...a)), 1), ...b);
  }
  if (isWide(to)) {
    return (a, b) => storeWide(k, wideOfDouble(k, loadWide(k, ...a), to === "i64"), ...b);
  }
  const store = wordStorer(k, to);
  return (a, b) => {
    const { low, high } = wideOfDouble(k, loadWide(k, ...a), true);
    if (to !== "ui32") {
      k.when("ne", high, k.x("srai", low, 31), () => k.to(low, "lui", 0x80000));
    }
    store(low, ...b);
  };
}

function toDouble(k: PhaseAssembler, from: Elem): Convert {
  if (isFloat(from)) {
    const load = floatLoader(k, from);
    return (a, b) => storeWide(k, doubleOfFloat(k, load(...a)), ...b);
  }
  if (isWide(from)) {
    return (a, b) => storeWide(k, doubleOfWide(k, loadWide(k, ...a), from === "i64"), ...b);
  }
  const load = loadOf(from);
  return (a, b) => {
    const low = k.x(load, ...a);
    const value = isSigned(from) ? widened(k, low) : { low, high: k.copy(ZERO) };
    storeWide(k, doubleOfWide(k, value, isSigned(from)), ...b);
  };
}

function converter(k: PhaseAssembler, from: Elem, to: Elem): Convert {
  if (from === "f64") return fromDouble(k, to);
  if (to === "f64") return toDouble(k, from);
  if (isFloat(from)) return fromFloat(k, from, to);
  return isWide(from) ? fromWide(k, from, to) : fromWord(k, from, to);
}

const cast: Generate = (request) => {
  const [x, y] = [given(request, 0), wanted(request)];
  const total = sizeOf(x.shape);
  if (request.isa.vector && x.elem !== y.elem && canCast(x.elem, y.elem)) {
    return { phases: [(k) => castVectors(k, x.elem, y.elem)] };
  }
  const convert = (k: PhaseAssembler): void => {
    const walkers = [
      { address: k.operand(0), strides: [bytesPer(x.elem)] },
      { address: k.result(0), strides: [bytesPer(y.elem)] },
    ] as const;
    if (x.elem === y.elem) {
      copyWalk(k, [total], bytesPer(x.elem), ...walkers);
      return;
    }
    const one = converter(k, x.elem, y.elem);
    eachRun(k, [total], walkers, (run) => {
      const [from, to] = run.at as [X, X];
      const work = x.elem === "f64" || y.elem === "f64" ? 8 : 4;
      unrolled(k, run, ([a = 0, b = 0]) => one([a, from], [b, to]), work);
    });
  };
  return { phases: [convert] };
};

export const CAST: GeneratorTable = { Cast: cast, CastLike: cast };
