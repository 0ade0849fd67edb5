/** Arithmetic on integers, element by element, with broadcasting: the same bits as src/tensor's kernels. */

import { bytesPer, type Elem } from "../../tensor/tensor.ts";
import { LOAD, STORE, type Unit } from "../copy.ts";
import { eachWithPresent, type Spot } from "../elements.ts";
import { type Generate, KernelGap, type KernelRequest, type PhaseAssembler } from "../kernel.ts";
import type { X } from "../register.ts";
import { given, number, presentOf, wanted } from "../request.ts";
import { INTEGER, type IntegerOperation } from "../whole.ts";
import { loadWide, storeWide } from "../wide.ts";

export const isWhole = (elem: Elem): boolean => /^u?i(8|16|32|64)$/.test(elem);

/** Signed elements are loaded with their sign. */
export const loadWhole = (k: PhaseAssembler, elem: Elem, offset: number, address: X): X => {
  const name = LOAD[bytesPer(elem) as Unit];
  return k.x(elem.startsWith("u") ? name : name.replace("u", ""), offset, address);
};

/** The operation of that name, of one operand or two, or of any number combined from the left. */
export const integers: Generate = (request) => {
  const y = wanted(request);
  const name = request.kernel === "Mod" && number(request, "fmod", 0) ? "Fmod" : request.kernel;
  const present = presentOf(request);
  const operations = operationsOf(name, present);
  if (operations.length === 0) throw new KernelGap(`elements of type ${y.elem}`);
  const blocks = present.map((i) => given(request, i));
  if (blocks.some(({ elem }) => elem !== y.elem)) throw new KernelGap("elements of several types");
  const apply = bytesPer(y.elem) === 8 ? applyWide : applyNarrow;
  const phase = (k: PhaseAssembler): void =>
    eachWithPresent(k, (to, from) => apply(k, operations, y.elem, to, from));
  return { phases: [phase] };
};

/** What each operand but the first is combined by: Clip's second operand is a lower bound, its third an upper one. */
function operationsOf(name: string, present: readonly number[]): readonly IntegerOperation[] {
  const others = present.length > 1 ? present.slice(1) : present;
  return others.flatMap((i) => {
    const found = INTEGER[name === "Clip" ? (i === 2 ? "Min" : "Max") : name];
    return found ? [found] : [];
  });
}

type Apply = (
  k: PhaseAssembler,
  operations: readonly IntegerOperation[],
  elem: Elem,
  to: Spot,
  from: readonly Spot[],
) => void;

const applyWide: Apply = (k, operations, elem, to, from) => {
  const values = from.map((place) => loadWide(k, ...place));
  const signed = !elem.startsWith("u");
  const result = combined(k, values, (a, b, i) => operations[i]?.wide(k, a, b, signed) ?? a);
  storeWide(k, result, ...to);
};

const applyNarrow: Apply = (k, operations, elem, to, from) => {
  const values = from.map((place) => loadWhole(k, elem, ...place));
  const signed = !elem.startsWith("u");
  const result = combined(k, values, (a, b, i) => operations[i]?.narrow(k, a, b, signed) ?? a);
  k.emit(STORE[bytesPer(elem) as Unit], result, ...to);
};

/** The first value with all others, from the left; with itself where there is no other. */
function combined<T>(
  { request }: PhaseAssembler,
  values: readonly T[],
  by: (a: T, b: T, i: number) => T,
): T {
  const others = values.length === 1 && !isFolded(request) ? values : values.slice(1);
  return others.reduce(by, values[0] as T);
}

/** Operations of any number of operands leave one alone as it is; others with one operand read it as both. */
const isFolded = ({ kernel }: KernelRequest): boolean =>
  ["Sum", "Max", "Min", "Clip"].includes(kernel);
