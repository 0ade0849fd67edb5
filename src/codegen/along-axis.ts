/** Code for every row of elements along an axis, which need not lie side by side. */

import { sizeOf } from "../tensor/tensor.ts";
import { type Generate, KernelGap, type PhaseAssembler } from "./kernel.ts";
import type { F } from "./register.ts";
import { axisOf, given, number, wanted } from "./request.ts";
import { onRows, type Rows } from "./row-loops.ts";
import { eachIndex } from "./row-walk.ts";
import { FLOAT_BYTES, type Stream } from "./strip.ts";
import { byteStrides } from "./walk.ts";

/** A row of x and the one of the result. */
interface Row {
  readonly from: Stream;
  readonly to: Stream;
  readonly count: number;
}

/** Makes the constants, then gives the code for a row. */
export type RowCode = <T, I>(k: PhaseAssembler, rows: Rows<T, I>) => (row: Row) => void;

/** The axis is the attribute of that name, the last one where it is left out. */
export const alongAxis =
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

/** The largest element, or what `of` makes of each, and at least `least`; NaN counts for nothing. */
export function largest<T, I>(
  rows: Rows<T, I>,
  from: Stream,
  count: number,
  least: F,
  of: (x: T) => T = (x) => x,
): F {
  const top = rows.total("max", least);
  rows.loop({
    inputs: [from],
    output: null,
    count,
    totals: [top],
    step: ([x], [most]) => {
      rows.l.gather("max", most, of(x));
      return null;
    },
  });
  return rows.gathered(top);
}
