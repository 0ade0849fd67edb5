/** What becomes of an element of a tensor when another is scattered onto it. */

import { bytesPer, type Elem } from "../tensor/tensor.ts";
import { LOAD, STORE, type Unit } from "./copy.ts";
import { isNone } from "./double.ts";
import { addDouble, mulDouble } from "./double-arithmetic.ts";
import { lessDouble } from "./double-convert.ts";
import { KernelGap, type PhaseAssembler } from "./kernel.ts";
import type { F, X } from "./register.ts";
import { addWide, lessWide, loadWide, mulWide, storeWide } from "./wide.ts";

/** Combines the element at `from` into the one at `to`, each at an address and an offset. */
export type Combine = (from: readonly [number, X], to: readonly [number, X]) => void;

/** Errors: KernelGap for halves, whose sums are kept in single precision between updates. */
export function combineOf(k: PhaseAssembler, elem: Elem, reduction: string): Combine {
  if (elem === "f32") return combineFloats(k, reduction);
  if (elem === "f64") return combineDoubles(k, reduction);
  if (elem === "i64" || elem === "ui64") return combineWide(k, reduction, elem === "i64");
  if (elem === "f16" || elem === "bf16" || elem === "i4" || elem === "ui4") {
    throw new KernelGap(`scattered elements of type ${elem} that are combined`);
  }
  return combineWords(k, elem, reduction);
}

function unknown(reduction: string): never {
  throw new KernelGap(`the reduction ${reduction}`);
}

function combineFloats(k: PhaseAssembler, reduction: string): Combine {
  const names: Readonly<Record<string, string>> = { add: "fadd.s", mul: "fmul.s" };
  const name = names[reduction];
  if (!name && reduction !== "max" && reduction !== "min") return unknown(reduction);
  return (from, to) => {
    const [update, old] = [k.f("flw", ...from), k.f("flw", ...to)];
    if (name) k.emit("fsw", k.f(name, old, update), ...to);
    else pick(k, update, old, to, reduction === "max");
  };
}

/** NaN stays; of equal zeros the later stays. */
function pick(
  k: PhaseAssembler,
  update: F,
  old: F,
  to: readonly [number, X],
  largest: boolean,
): void {
  const stays = largest ? k.x("flt.s", update, old) : k.x("flt.s", old, update);
  const isNumber = k.x("feq.s", old, old);
  k.when("ltu", stays, isNumber, () => k.emit("fsw", update, ...to));
}

function combineDoubles(k: PhaseAssembler, reduction: string): Combine {
  const names: Readonly<Record<string, typeof addDouble>> = { add: addDouble, mul: mulDouble };
  const combine = names[reduction];
  if (!combine && reduction !== "max" && reduction !== "min") return unknown(reduction);
  return (from, to) => {
    const [update, old] = [loadWide(k, ...from), loadWide(k, ...to)];
    if (combine) {
      storeWide(k, combine(k, old, update), ...to);
      return;
    }
    const stays = reduction === "max" ? lessDouble(k, update, old) : lessDouble(k, old, update);
    const isNumber = k.x("xori", isNone(k, old), 1);
    k.when("ltu", stays, isNumber, () => storeWide(k, update, ...to));
  };
}

function combineWide(k: PhaseAssembler, reduction: string, signed: boolean): Combine {
  return (from, to) => {
    const [update, old] = [loadWide(k, ...from), loadWide(k, ...to)];
    if (reduction === "add") storeWide(k, addWide(k, old, update), ...to);
    else if (reduction === "mul") storeWide(k, mulWide(k, old, update), ...to);
    else if (reduction === "max" || reduction === "min") {
      const [a, b] = reduction === "max" ? [old, update] : [update, old];
      const done = k.newLabel();
      k.branch("eq", lessWide(k, a, b, signed), k.li(0), done);
      storeWide(k, update, ...to);
      k.label(done);
    } else unknown(reduction);
  };
}

function combineWords(k: PhaseAssembler, elem: Elem, given: string): Combine {
  const unit = bytesPer(elem) as Unit;
  const signed = elem.startsWith("i") && elem !== "i1";
  const load = unit < 4 && signed ? LOAD[unit].replace("u", "") : LOAD[unit];
  // A sum of truths is whether one of them holds.
  const reduction = elem === "i1" && given === "add" ? "max" : given;
  const names: Readonly<Record<string, string>> = { add: "add", mul: "mul" };
  return (from, to) => {
    const [update, old] = [k.x(load, ...from), k.x(load, ...to)];
    const name = names[reduction];
    if (name) {
      k.emit(STORE[unit], k.x(name, old, update), ...to);
      return;
    }
    if (reduction !== "max" && reduction !== "min") unknown(reduction);
    const [a, b] = reduction === "max" ? [old, update] : [update, old];
    k.when(signed ? "lt" : "ltu", a, b, () => k.emit(STORE[unit], update, ...to));
  };
}
