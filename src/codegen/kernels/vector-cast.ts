/** Conversions on cores with vectors: between f32 and integers, and between integers. The same bits. */

import { type Elem, isFloat } from "../../tensor/tensor.ts";
import type { PhaseAssembler } from "../kernel.ts";
import { type F, type V, V0, ZERO } from "../register.ts";
import { isSigned, isWide } from "../scalars.ts";
import { eachVector, isVectorWord, type VectorElements } from "../vector-elements.ts";

/** 64 bits are cut or extended; to and from floats they are not converted here. */
export function canCast(from: Elem, to: Elem): boolean {
  const isInteger = (elem: Elem): boolean => isVectorWord(elem) && !isFloat(elem);
  if (isWide(from)) return isInteger(to) && to !== "i1";
  if (isWide(to)) return isInteger(from);
  return isVectorWord(from) && isVectorWord(to) && !(from === "f32" && to === "ui32");
}

export function castVectors(k: PhaseAssembler, from: Elem, to: Elem): void {
  const bound = k.constant(2 ** 31);
  const least = k.constant(-(2 ** 31));
  eachVector(k, 1, (e) => {
    if (isWide(from)) e.store(e.pair(0)[0]);
    else if (isWide(to)) extend(e, from);
    else if (to === "i1") truths(e, from);
    else if (to === "f32") {
      e.store(k.v(4, from === "ui32" ? "vfcvt.f.xu.v" : "vfcvt.f.x.v", e.words(0)));
    } else e.store(from === "f32" ? truncated(k, e.words(0), bound, least) : e.words(0));
  });
}

function extend(e: VectorElements, from: Elem): void {
  const { k } = e;
  const low = e.words(0);
  const high = isSigned(from) ? k.v(4, "vsra.vi", low, 31) : k.v(4, "vmv.v.i", 0);
  e.storePair(low, high);
}

function truths(e: VectorElements, from: Elem): void {
  const { k } = e;
  if (from !== "f32") e.maskOf(0);
  else k.to(V0, "vmfne.vf", e.words(0), k.f("fmv.w.x", ZERO));
  e.storeMask();
}

/** NaN and what is not below the bound become the least integer, as what is below that does. */
function truncated(k: PhaseAssembler, value: V, bound: F, least: F): V {
  k.to(V0, "vmflt.vf", value, bound);
  const held = k.v(4, "vmerge.vvm", k.v(4, "vfmv.v.f", least), value);
  return k.v(4, "vfcvt.rtz.x.f.v", held);
}
