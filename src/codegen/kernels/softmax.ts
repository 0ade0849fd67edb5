/**
 * Softmax along any axis, and its logarithm. Row by row: the largest element, then e^(x - largest) with its sum, then the
 * products with 1 / sum. Within 1e-6 of the largest result (sums in single precision, in lanes; e^x within 1 ulp).
 */

import { sizeOf } from "../../tensor/tensor.ts";
import { exponential } from "../exponential.ts";
import { logarithm } from "../functions/logarithm.ts";
import { allInSingle } from "../in-single.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import type { F } from "../register.ts";
import { axisOf, given, number, wanted } from "../request.ts";
import { onRows, type Rows } from "../row-loops.ts";
import { eachIndex } from "../row-walk.ts";
import { ScalarLanes } from "../scalar-lanes.ts";
import { FLOAT_BYTES, type Stream } from "../strip.ts";
import { byteStrides } from "../walk.ts";

/** A row of x and the one of the result. */
interface Row {
  readonly from: Stream;
  readonly to: Stream;
  readonly count: number;
}

/** Makes the constants, then gives the code for a row. */
type RowCode = <T, I>(k: PhaseAssembler, rows: Rows<T, I>) => (row: Row) => void;

const alongAxis =
  (code: RowCode): Generate =>
  (request) => {
    const [x, y] = [given(request, 0), wanted(request)];
    if (x.elem !== "f32") throw new KernelGap(`elements of type ${x.elem}`);
    const axis = axisOf(number(request, "axis", -1), y.shape.length);
    const count = y.shape[axis] ?? 1;
    const strides = byteStrides(y.shape, FLOAT_BYTES);
    const step = strides[axis] ?? FLOAT_BYTES;
    const outer = y.shape.toSpliced(axis, 1);
    const phase = (k: PhaseAssembler): void => {
      const walkers = [k.operand(0), k.result(0)].map((address) => ({
        address,
        strides: strides.toSpliced(axis, 1),
      }));
      onRows(k, k.request.isa, 4, (rows) => {
        const row = code(k, rows);
        eachIndex(k, outer, walkers, (at) => {
          const [from, to] = at.map((address) => ({ address, step })) as [Stream, Stream];
          row({ from, to, count });
        });
      });
    };
    return { phases: sizeOf(y.shape) === 0 ? [] : [phase] };
  };

const softmax: RowCode = (k, rows) => {
  const { l } = rows;
  const [least, zero, one] = [k.constant(Number.NEGATIVE_INFINITY), k.constant(0), k.constant(1)];
  const exp = exponential(l, "zero");
  return ({ from, to, count }) => {
    const top = largest(rows, from, count, least);
    const sum = rows.total("add", zero);
    rows.loop({
      inputs: [from],
      output: to,
      count,
      totals: [sum],
      step: ([x], [total]) => {
        const power = exp(l.sub(x, top));
        l.gather("add", total, power);
        return power;
      },
    });
    const share = k.f("fdiv.s", one, rows.gathered(sum));
    rows.loop({ inputs: [to], output: to, count, step: ([e]) => l.mul(e, share) });
  };
};

const logSoftmax: RowCode = (k, rows) => {
  const { l } = rows;
  const [least, zero] = [k.constant(Number.NEGATIVE_INFINITY), k.constant(0)];
  const exp = exponential(l, "zero");
  const log = logarithm(new ScalarLanes(k));
  return ({ from, to, count }) => {
    const top = largest(rows, from, count, least);
    const sum = rows.total("add", zero);
    rows.loop({
      inputs: [from],
      output: null,
      count,
      totals: [sum],
      step: ([x], [total]) => {
        l.gather("add", total, exp(l.sub(x, top)));
        return null;
      },
    });
    const [share] = log([rows.gathered(sum)]) as [F];
    rows.loop({ inputs: [from], output: to, count, step: ([x]) => l.sub(l.sub(x, top), share) });
  };
};

/** The largest element; NaN only if all are. */
function largest<T, I>(rows: Rows<T, I>, from: Stream, count: number, least: F): F {
  const top = rows.total("max", least);
  rows.loop({
    inputs: [from],
    output: null,
    count,
    totals: [top],
    step: ([x], [most]) => {
      rows.l.gather("max", most, x);
      return null;
    },
  });
  return rows.gathered(top);
}

export const SOFTMAX: GeneratorTable = allInSingle({
  Softmax: alongAxis(softmax),
  LogSoftmax: alongAxis(logSoftmax),
  "nn.softmax": alongAxis(softmax),
});
