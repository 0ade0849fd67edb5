/**
 * Softmax along any axis, and its logarithm. Row by row: the largest element, then e^(x - largest) with its sum, then the
 * products with 1 / sum. Within 1e-6 of the largest result (sums in single precision, in lanes; e^x within 1 ulp).
 */

import { alongAxis, largest, type RowCode } from "../along-axis.ts";
import { exponential } from "../exponential.ts";
import { logarithm } from "../functions/logarithm.ts";
import { allInSingle } from "../in-single.ts";
import type { GeneratorTable } from "../kernel.ts";
import type { F } from "../register.ts";
import { ScalarLanes } from "../scalar-lanes.ts";

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

export const SOFTMAX: GeneratorTable = allInSingle({
  Softmax: alongAxis(softmax),
  LogSoftmax: alongAxis(logSoftmax),
  "nn.softmax": alongAxis(softmax),
});
