/**
 * Rows divided by their norms, of order 1 or 2, along any axis. Elements are divided by the largest magnitude first, so that no
 * square overflows or vanishes. Within 1e-6 of the largest result.
 */

import { alongAxis, largest, type RowCode } from "../along-axis.ts";
import { allInSingle } from "../in-single.ts";
import { type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import type { F, X } from "../register.ts";
import { ZERO } from "../register.ts";
import { number } from "../request.ts";
import type { Rows } from "../row-loops.ts";
import type { Stream } from "../strip.ts";

/** The largest magnitude of a row; 1 where there is none, or it is infinite. */
function scaleOf<T, I>(k: PhaseAssembler, rows: Rows<T, I>, from: Stream, count: number): F {
  const [zero, infinite] = [k.constant(0), k.constant(Number.POSITIVE_INFINITY)];
  const scale = largest(rows, from, count, zero, (x) => rows.l.abs(x));
  const isUseful = k.x("and", k.x("flt.s", zero, scale), k.x("flt.s", scale, infinite));
  orOne(k, scale, isUseful);
  return scale;
}

/** value = 1 where a condition is 0. */
function orOne(k: PhaseAssembler, value: F, condition: X): void {
  const one = k.constant(1);
  const done = k.newLabel();
  k.branch("ne", condition, ZERO, done);
  k.to(value, "fsgnj.s", one, one);
  k.label(done);
}

const lpNorm: RowCode = (k, rows) => {
  const { l } = rows;
  const order = number(k.request, "p", 2);
  if (order !== 1 && order !== 2) throw new KernelGap(`norms of order ${order}`);
  const zero = k.constant(0);
  return ({ from, to, count }) => {
    const scale = scaleOf(k, rows, from, count);
    const sum = rows.total("add", zero);
    rows.loop({
      inputs: [from],
      output: to,
      count,
      totals: [sum],
      step: ([x], [total]) => {
        const y = l.div(x, scale);
        if (order === 1) l.gather("add", total, l.abs(y));
        else l.accumulate(total, y, y);
        return y;
      },
    });
    const all = rows.gathered(sum);
    const norm = order === 1 ? all : k.f("fsqrt.s", all);
    // Of zeros nothing is left to be divided.
    orOne(k, norm, k.x("xori", k.x("feq.s", norm, zero), 1));
    rows.loop({ inputs: [to], output: to, count, step: ([y]) => l.div(y, norm) });
  };
};

export const LP_NORM: GeneratorTable = allInSingle({ LpNormalization: alongAxis(lpNorm) });
