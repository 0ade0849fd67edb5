/** Reductions of integers: in 64 bits, which wrap when the result is stored. The same bits as src/tensor's kernels. */

import { bytesPer, type Elem } from "../../tensor/tensor.ts";
import { STORE, type Unit } from "../copy.ts";
import { type KernelCode, KernelGap, type KernelRequest, type PhaseAssembler } from "../kernel.ts";
import { eachRowOfSet, type Reduced } from "../reduced.ts";
import { type X, ZERO } from "../register.ts";
import { eachIndex } from "../row-walk.ts";
import { byteStrides } from "../walk.ts";
import { INTEGER } from "../whole.ts";
import { addWide, assignWide, loadWide, mulWide, storeWide, type Wide, widened } from "../wide.ts";
import { loadWhole } from "./integers.ts";

type Combine = (k: PhaseAssembler, total: Wide, x: Wide, signed: boolean) => Wide;

const magnitude: Combine = (k, total, x, signed) =>
  addWide(k, total, INTEGER["Abs"]?.wide(k, x, x, signed) ?? x);

const extreme =
  (name: "Max" | "Min"): Combine =>
  (k, total, x, signed) =>
    INTEGER[name]?.wide(k, total, x, signed) ?? total;

/** What the total begins with; null: the first element. */
const COMBINE: Readonly<Record<string, readonly [start: number | null, combine: Combine]>> = {
  ReduceSum: [0, addWide],
  ReduceMean: [0, addWide],
  ReduceProd: [1, mulWide],
  ReduceMax: [null, extreme("Max")],
  ReduceMin: [null, extreme("Min")],
  ReduceL1: [0, magnitude],
  ReduceSumSquare: [0, (k, total, x) => addWide(k, total, mulWide(k, x, x))],
};

/** An element as 64 bits. */
export function loadInteger(k: PhaseAssembler, elem: Elem, address: X): Wide {
  if (bytesPer(elem) === 8) return loadWide(k, 0, address);
  const low = loadWhole(k, elem, 0, address);
  return elem.startsWith("u") ? { low, high: k.copy(ZERO) } : widened(k, low);
}

export function storeInteger(k: PhaseAssembler, elem: Elem, value: Wide, address: X): void {
  if (bytesPer(elem) === 8) storeWide(k, value, 0, address);
  else k.emit(STORE[bytesPer(elem) as Unit], value.low, 0, address);
}

export function integerReduction(request: KernelRequest, reduced: Reduced): KernelCode {
  const { set, count, kept, strides } = reduced;
  const elem = request.operands[0]?.elem ?? "i64";
  const found = COMBINE[request.kernel];
  if (!found) throw new KernelGap(`elements of type ${elem}`);
  const [start, combine] = found;
  if (count === 0 && (start === null || request.kernel === "ReduceMean")) {
    throw new KernelGap("extremes or means of no integers");
  }
  const signed = !elem.startsWith("u");
  const phase = (k: PhaseAssembler): void => {
    const walkers = [
      { address: k.operand(0), strides },
      { address: k.result(0), strides: byteStrides(kept, bytesPer(elem)) },
    ];
    eachIndex(k, kept, walkers, ([from, to]) => {
      if (!from || !to) return;
      const first = start === null ? loadInteger(k, elem, from) : null;
      const total = first ?? { low: k.li(start ?? 0), high: k.li(0) };
      eachRowOfSet(k, set, from, (row, size) => {
        const at = k.copy(row.address);
        k.repeat(size, () => {
          assignWide(k, total, combine(k, total, loadInteger(k, elem, at), signed));
          k.addTo(at, at, row.step);
        });
      });
      const isMean = request.kernel === "ReduceMean";
      const by = { low: k.li(count), high: k.li(0) };
      const result = isMean ? INTEGER["Div"]?.wide(k, total, by, signed) : total;
      storeInteger(k, elem, result ?? total, to);
    });
  };
  return { phases: [phase] };
}
