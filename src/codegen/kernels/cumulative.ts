/**
 * Running sums and products along an axis. Of integers the same bits as src/tensor's kernel; of floats with the error of each
 * step kept (Knuth, The Art of Computer Programming, volume 2, section 4.2.2): within 1 ulp of the largest sum, or of each
 * product.
 */

import { bytesPer } from "../../tensor/tensor.ts";
import { doubleConstant } from "../double.ts";
import { addDouble, mulDouble } from "../double-arithmetic.ts";
import { allInSingle } from "../in-single.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import { type F, type X, ZERO } from "../register.ts";
import { axisOf, given, listed, number } from "../request.ts";
import { eachIndex } from "../row-walk.ts";
import { byteStrides } from "../walk.ts";
import { addWide, assignWide, loadWide, mulWide, storeWide, type Wide } from "../wide.ts";
import { loadInteger, storeInteger } from "./integer-reduce.ts";
import { isWhole } from "./integers.ts";

/** Of a running sum or product. */
interface Running {
  add(address: X): void;
  store(address: X): void;
}

type FloatStep = (k: PhaseAssembler, total: F, error: F, x: F) => void;

/** The error of an addition is added up. */
const addFloat: FloatStep = (k, sum, error, x) => {
  const next = k.f("fadd.s", sum, x);
  const part = k.f("fsub.s", next, sum);
  const lost = k.f("fadd.s", k.f("fsub.s", sum, k.f("fsub.s", next, part)), k.f("fsub.s", x, part));
  k.to(sum, "fsgnj.s", next, next);
  k.to(error, "fadd.s", error, lost);
};

/** The error of a product is multiplied too. */
const multiplyFloat: FloatStep = (k, product, error, x) => {
  const next = k.f("fmul.s", product, x);
  const lost = k.f("fmsub.s", product, x, next);
  k.to(product, "fsgnj.s", next, next);
  k.to(error, "fmadd.s", error, x, lost);
};

function runningFloat(k: PhaseAssembler, first: number, step: FloatStep): Running {
  const [sum, error] = [k.constant(first), k.constant(0)];
  return {
    add: (address) => step(k, sum, error, k.f("flw", 0, address)),
    store(address) {
      const result = k.f("fadd.s", sum, error);
      // What is infinite has no error; the difference of infinities would be NaN.
      const isNumber = k.x("feq.s", k.f("fsub.s", error, error), k.f("fmv.w.x", ZERO));
      const done = k.newLabel();
      k.branch("ne", isNumber, k.li(0), done);
      k.to(result, "fsgnj.s", sum, sum);
      k.label(done);
      k.emit("fsw", result, 0, address);
    },
  };
}

/** What a running result begins with, and its steps. */
interface Cumulation {
  readonly first: number;
  readonly float: FloatStep;
  readonly double: (k: PhaseAssembler, a: Wide, b: Wide) => Wide;
  readonly whole: (k: PhaseAssembler, a: Wide, b: Wide) => Wide;
}

const cumulative =
  ({ first, float, double, whole }: Cumulation): Generate =>
  (request) => {
    const x = given(request, 0);
    const [named] = listed(request, 1, "axis") ?? [];
    if (named === undefined) throw new KernelGap("an axis that only the run knows");
    if (x.elem !== "f32" && x.elem !== "f64" && !isWhole(x.elem))
      throw new KernelGap(`elements of type ${x.elem}`);
    const axis = axisOf(named, x.shape.length);
    const [exclusive, reverse] = ["exclusive", "reverse"].map((n) => number(request, n, 0) !== 0);
    const strides = byteStrides(x.shape, bytesPer(x.elem));
    const size = x.shape[axis] ?? 1;
    const step = (strides[axis] ?? 0) * (reverse ? -1 : 1);
    const runningDouble = (k: PhaseAssembler): Running => {
      const total = doubleConstant(k, first);
      return {
        add: (address) => assignWide(k, total, double(k, total, loadWide(k, 0, address))),
        store: (address) => storeWide(k, total, 0, address),
      };
    };
    const runningWhole = (k: PhaseAssembler): Running => {
      const sum = { low: k.li(first), high: k.li(0) };
      return {
        add: (address) => assignWide(k, sum, whole(k, sum, loadInteger(k, x.elem, address))),
        store: (address) => storeInteger(k, x.elem, sum, address),
      };
    };
    const begin = {
      f32: (k: PhaseAssembler) => runningFloat(k, first, float),
      f64: runningDouble,
      whole: runningWhole,
    };
    const phase = (k: PhaseAssembler): void => {
      const kept = strides.toSpliced(axis, 1);
      const walkers = [k.operand(0), k.result(0)].map((address) => ({ address, strides: kept }));
      eachIndex(k, x.shape.toSpliced(axis, 1), walkers, (at) => {
        const [from, to] = at.map((p) => (reverse ? k.add(p, -step * (size - 1)) : k.copy(p)));
        if (!from || !to) return;
        const running = begin[x.elem === "f32" || x.elem === "f64" ? x.elem : "whole"](k);
        k.repeat(size, () => {
          if (exclusive) running.store(to);
          running.add(from);
          if (!exclusive) running.store(to);
          for (const p of [from, to]) k.addTo(p, p, step);
        });
      });
    };
    return { phases: [phase] };
  };

export const CUMULATIVE: GeneratorTable = allInSingle({
  CumSum: cumulative({ first: 0, float: addFloat, double: addDouble, whole: addWide }),
  CumProd: cumulative({ first: 1, float: multiplyFloat, double: mulDouble, whole: mulWide }),
});
