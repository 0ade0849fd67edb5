/** Arithmetic on integers, element by element, with broadcasting: the same bits as src/tensor's kernels. */

import { bytesPer, type Elem } from "../../tensor/tensor.ts";
import { LOAD, STORE, type Unit } from "../copy.ts";
import { type Generate, KernelGap, type PhaseAssembler } from "../kernel.ts";
import type { X } from "../register.ts";
import { given, number, wanted } from "../request.ts";
import { unrolled } from "../unrolled.ts";
import { broadcastStrides, byteStrides, eachRun } from "../walk.ts";
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
  const present = request.operands.flatMap((b, i) => (b ? [i] : []));
  const operations = operationsOf(name, present);
  if (operations.length === 0) throw new KernelGap(`elements of type ${y.elem}`);
  const blocks = present.map((i) => given(request, i));
  if (blocks.some(({ elem }) => elem !== y.elem)) throw new KernelGap("elements of several types");
  const bytes = bytesPer(y.elem);
  const phase = (k: PhaseAssembler): void => {
    const output = { address: k.result(0), strides: byteStrides(y.shape, bytes) };
    const inputs = blocks.map(({ shape }, i) => ({
      address: k.operand(present[i] ?? 0),
      strides: broadcastStrides(shape, y.shape, bytes),
    }));
    eachRun(k, y.shape, [output, ...inputs], ({ at, steps, count }) => {
      const places = at.map((p, i) => ({ at: p, step: steps[i] ?? 0 }));
      const apply = bytes === 8 ? applyWide : applyNarrow;
      unrolled(k, count, places, (offsets) => apply(k, operations, y.elem, at, offsets), WORK);
    });
  };
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

/** One element a turn: divisions are long. */
const WORK = 8;

type Apply = (
  k: PhaseAssembler,
  operations: readonly IntegerOperation[],
  elem: Elem,
  at: readonly X[],
  offsets: readonly number[],
) => void;

const applyWide: Apply = (k, operations, elem, at, offsets) => {
  const [to, ...from] = at.map((p, i) => [offsets[i] ?? 0, p] as const);
  const values = from.map((place) => loadWide(k, ...place));
  const [first] = values;
  if (!first || !to) return;
  const signed = !elem.startsWith("u");
  const rest = values.length === 1 && !isFolded(k) ? values : values.slice(1);
  storeWide(
    k,
    rest.reduce((a, b, i) => operations[i]?.wide(k, a, b, signed) ?? a, first),
    ...to,
  );
};

const applyNarrow: Apply = (k, operations, elem, at, offsets) => {
  const [to, ...from] = at.map((p, i) => [offsets[i] ?? 0, p] as const);
  const values = from.map((place) => loadWhole(k, elem, ...place));
  const [first] = values;
  if (!first || !to) return;
  const signed = !elem.startsWith("u");
  const rest = values.length === 1 && !isFolded(k) ? values : values.slice(1);
  const result = rest.reduce((a, b, i) => operations[i]?.narrow(k, a, b, signed) ?? a, first);
  k.emit(STORE[bytesPer(elem) as Unit], result, ...to);
};

/** Operations of any number of operands leave one alone as it is; others with one operand read it as both. */
const isFolded = ({ request }: PhaseAssembler): boolean =>
  ["Sum", "Max", "Min", "Clip"].includes(request.kernel);
