/**
 * Reductions along axes of single-precision numbers. Sums run in several lanes, piece by piece (src/codegen/row-loops.ts):
 * within 1e-5 of the sum of magnitudes for up to 16384 elements. Largest and smallest elements are exact.
 */

import { bytesPer } from "../../tensor/tensor.ts";
import { exponential } from "../exponential.ts";
import { logarithm } from "../functions/logarithm.ts";
import { allInSingle } from "../in-single.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import type { Gathering, Lanes } from "../lanes.ts";
import { axesOf, eachRowOfSet, reducedOf } from "../reduced.ts";
import type { F, X } from "../register.ts";
import { given, wanted } from "../request.ts";
import { onRows, type Rows } from "../row-loops.ts";
import { eachIndex } from "../row-walk.ts";
import { ScalarLanes } from "../scalar-lanes.ts";
import { FLOAT_BYTES } from "../strip.ts";
import { byteStrides, type Space } from "../walk.ts";
import { doubleReduction } from "./double-reduce.ts";
import { integerReduction } from "./integer-reduce.ts";
import { isWhole } from "./integers.ts";

/** A reduction with one total. */
interface Single {
  readonly how: Gathering;
  readonly start: number;
  /** What is gathered of an element: x itself where it is left out. */
  readonly of?: "magnitude" | "square";
  /** What becomes of the total of so many elements. */
  readonly last?: (k: PhaseAssembler, count: number) => (total: F) => F;
}

/** Makes the constants, then gives the code for a set. */
type SetCode = <T, I>(k: PhaseAssembler, rows: Rows<T, I>) => (set: Space, at: X) => F;

function gatherInto<T, I>(l: Lanes<T, I>, { how, of }: Single, total: T, x: T): void {
  if (of === "square") l.accumulate(total, x, x);
  else l.gather(how, total, of === "magnitude" ? l.abs(x) : x);
}

const single =
  (how: Single, count: number): SetCode =>
  (k, rows) => {
    const [start, zero] = [k.constant(how.start), k.constant(0)];
    const last = how.last?.(k, count);
    return (set, at) => {
      const total = rows.total(how.how, start);
      const isExtreme = how.how === "max" || how.how === "min";
      // Of a number and a NaN, RISC-V's extremes are the number: so NaN is added up besides.
      const nan = isExtreme ? rows.total("add", zero) : null;
      eachRowOfSet(k, set, at, (row, size) => {
        rows.loop({
          inputs: [row],
          output: null,
          count: size,
          totals: nan ? [total, nan] : [total],
          step: ([x], [lanes, found]) => {
            gatherInto(rows.l, how, lanes, x);
            if (nan) rows.l.replace(found, x, "ne", x, x);
            return null;
          },
        });
      });
      const value = rows.gathered(total);
      const checked = nan ? k.f("fadd.s", value, rows.gathered(nan)) : value;
      return last ? last(checked) : checked;
    };
  };

const LARGEST: Single = { how: "max", start: Number.NEGATIVE_INFINITY };
const SMALLEST: Single = { how: "min", start: Number.POSITIVE_INFINITY };

/** Of the largest element and the sum of e^(x - largest); the largest alone where it is not finite. */
const logSumExp: SetCode = (k, rows) => {
  const { l } = rows;
  const [least, most] = [
    k.constant(Number.NEGATIVE_INFINITY),
    k.constant(Number.POSITIVE_INFINITY),
  ];
  const zero = k.constant(0);
  const largest = single(LARGEST, 1)(k, rows);
  const [exp, log] = [exponential(l, "zero"), logarithm(new ScalarLanes(k))];
  return (set, at) => {
    const top = largest(set, at);
    const sum = rows.total("add", zero);
    eachRowOfSet(k, set, at, (row, size) => {
      rows.loop({
        inputs: [row],
        output: null,
        count: size,
        totals: [sum],
        step: ([x], [lanes]) => {
          l.gather("add", lanes, exp(l.sub(x, top)));
          return null;
        },
      });
    });
    const [share] = log([rows.gathered(sum)]);
    if (!share) throw new Error("a lane without a result");
    const finite = k.x("and", k.x("flt.s", least, top), k.x("flt.s", top, most));
    const result = k.f("fadd.s", top, share);
    const done = k.newLabel();
    k.branch("ne", finite, k.li(0), done);
    k.to(result, "fsgnj.s", top, top);
    k.label(done);
    return result;
  };
};

const reduction =
  (codeFor: (count: number) => SetCode, vectors = true): Generate =>
  (request) => {
    const [x, y] = [given(request, 0), wanted(request)];
    if (isWhole(x.elem))
      return integerReduction(request, reducedOf(x.shape, axesOf(request), bytesPer(x.elem)));
    if (x.elem === "f64")
      return doubleReduction(request, reducedOf(x.shape, axesOf(request), bytesPer(x.elem)));
    for (const { elem } of [x, y]) {
      if (elem !== "f32") throw new KernelGap(`elements of type ${elem}`);
    }
    const { set, count, kept, strides } = reducedOf(x.shape, axesOf(request), FLOAT_BYTES);
    const phase = (k: PhaseAssembler): void => {
      const walkers = [
        { address: k.operand(0), strides },
        { address: k.result(0), strides: byteStrides(kept, FLOAT_BYTES) },
      ];
      const isa = vectors ? k.request.isa : { ...k.request.isa, vector: false };
      onRows(k, isa, 4, (rows) => {
        const code = codeFor(count)(k, rows);
        eachIndex(k, kept, walkers, ([from, to]) => {
          if (from && to) k.emit("fsw", code(set, from), 0, to);
        });
      });
    };
    return { phases: [phase] };
  };

const of = (how: Single, vectors = true): Generate =>
  reduction((count) => single(how, count), vectors);

const SUM: Single = { how: "add", start: 0 };

const mean: Single["last"] = (k, count) => {
  const by = k.constant(count);
  return (sum) => k.f("fdiv.s", sum, by);
};
const root: Single["last"] = (k) => (sum) => k.f("fsqrt.s", sum);
const log: Single["last"] = (k) => {
  const ln = logarithm(new ScalarLanes(k));
  return (sum) => ln([sum])[0] ?? sum;
};

export const REDUCE: GeneratorTable = allInSingle({
  ReduceSum: of(SUM),
  ReduceMean: of({ ...SUM, last: mean }),
  ReduceMax: of(LARGEST),
  ReduceMin: of(SMALLEST),
  // Vectors have no product of their elements.
  ReduceProd: of({ how: "mul", start: 1 }, false),
  ReduceL1: of({ ...SUM, of: "magnitude" }),
  ReduceL2: of({ ...SUM, of: "square", last: root }),
  ReduceSumSquare: of({ ...SUM, of: "square" }),
  ReduceLogSum: of({ ...SUM, last: log }),
  ReduceLogSumExp: reduction(() => logSumExp),
});
