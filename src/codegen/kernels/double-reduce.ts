/** Reductions of doubles, in the order of src/tensor's kernels: the same bits. */

import { bytesPer } from "../../tensor/tensor.ts";
import { doubleConstant, magnitudeOf } from "../double.ts";
import { addDouble, divDouble, mulDouble, sqrtDouble } from "../double-arithmetic.ts";
import { type KernelCode, KernelGap, type KernelRequest, type PhaseAssembler } from "../kernel.ts";
import { eachRowOfSet, type Reduced } from "../reduced.ts";
import { eachIndex } from "../row-walk.ts";
import { byteStrides } from "../walk.ts";
import { assignWide, loadWide, storeWide, type Wide } from "../wide.ts";
import { extremeDouble } from "./doubles.ts";

type Combine = (k: PhaseAssembler, total: Wide, x: Wide) => Wide;
type Last = (k: PhaseAssembler, total: Wide, count: number) => Wide;

interface Fold {
  readonly first: number;
  readonly combine: Combine;
  readonly last?: Last;
}

const squares: Combine = (k, total, x) => addDouble(k, total, mulDouble(k, x, x));

const FOLDS: Readonly<Record<string, Fold>> = {
  ReduceSum: { first: 0, combine: addDouble },
  ReduceMean: {
    first: 0,
    combine: addDouble,
    last: (k, total, count) => divDouble(k, total, doubleConstant(k, count)),
  },
  ReduceProd: { first: 1, combine: mulDouble },
  ReduceMax: { first: Number.NEGATIVE_INFINITY, combine: extremeDouble("max") },
  ReduceMin: { first: Number.POSITIVE_INFINITY, combine: extremeDouble("min") },
  ReduceL1: { first: 0, combine: (k, total, x) => addDouble(k, total, magnitudeOf(k, x)) },
  ReduceL2: { first: 0, combine: squares, last: (k, total) => sqrtDouble(k, total) },
  ReduceSumSquare: { first: 0, combine: squares },
};

export function doubleReduction(request: KernelRequest, reduced: Reduced): KernelCode {
  const { set, count, kept, strides } = reduced;
  const fold = FOLDS[request.kernel];
  if (!fold) throw new KernelGap("elements of type f64");
  const phase = (k: PhaseAssembler): void => {
    const walkers = [
      { address: k.operand(0), strides },
      { address: k.result(0), strides: byteStrides(kept, bytesPer("f64")) },
    ];
    eachIndex(k, kept, walkers, ([from, to]) => {
      if (!from || !to) return;
      const total = doubleConstant(k, fold.first);
      eachRowOfSet(k, set, from, (row, size) => {
        const at = k.copy(row.address);
        k.repeat(size, () => {
          assignWide(k, total, fold.combine(k, total, loadWide(k, 0, at)));
          k.addTo(at, at, row.step);
        });
      });
      storeWide(k, fold.last?.(k, total, count) ?? total, 0, to);
    });
  };
  return { phases: [phase] };
}
