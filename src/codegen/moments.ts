/** What a norm needs to know of a row, and its application. */

import type { PhaseAssembler } from "./kernel.ts";
import type { F } from "./register.ts";
import type { Rows } from "./row-loops.ts";
import type { Stream } from "./strip.ts";

/** y = (x - middle) scale + shift. */
export interface Moments {
  /** 0 where the rows are not centred. */
  readonly middle: F | null;
  readonly scale: F;
  readonly shift: F | null;
  /** The mean of the row. */
  readonly mean: F;
}

export interface Constants {
  readonly zero: F;
  readonly one: F;
  readonly perElement: F;
  readonly epsilon: F;
}

export function constantsOf(k: PhaseAssembler, width: number, epsilon: number): Constants {
  return {
    zero: k.constant(0),
    one: k.constant(1),
    perElement: k.constant(1 / width),
    epsilon: k.constant(epsilon),
  };
}

/** 1 / sqrt(variance + epsilon). */
export function inverse(k: PhaseAssembler, variance: F, { one, epsilon }: Constants): F {
  return k.f("fdiv.s", one, k.f("fsqrt.s", k.f("fadd.s", variance, epsilon)));
}

/** Of rows whose mean counts as 0. */
export function rootMeanSquare<T, I>(
  k: PhaseAssembler,
  rows: Rows<T, I>,
  x: Stream,
  width: number,
  constants: Constants,
): Moments {
  const squares = rows.total("add", constants.zero);
  rows.loop({
    inputs: [x],
    output: null,
    count: width,
    totals: [squares],
    step: ([v], [total]) => {
      rows.l.accumulate(total, v, v);
      return null;
    },
  });
  const variance = k.f("fmul.s", rows.gathered(squares), constants.perElement);
  const scale = inverse(k, variance, constants);
  return { middle: null, scale, shift: null, mean: constants.zero };
}

export function centred<T, I>(
  k: PhaseAssembler,
  rows: Rows<T, I>,
  x: Stream,
  width: number,
  constants: Constants,
): Moments {
  const { l } = rows;
  const { zero, perElement } = constants;
  const all = { inputs: [x], output: null, count: width };
  const sum = rows.total("add", zero);
  rows.loop({
    ...all,
    totals: [sum],
    step: ([v], [total]) => {
      l.gather("add", total, v);
      return null;
    },
  });
  const middle = k.f("fmul.s", rows.gathered(sum), perElement);
  const totals = [rows.total("add", zero), rows.total("add", zero)] as const;
  rows.loop({
    ...all,
    totals,
    step: ([v], [off, squares]) => {
      const difference = l.sub(v, middle);
      l.gather("add", off, difference);
      l.accumulate(squares, difference, difference);
      return null;
    },
  });
  const off = k.f("fmul.s", rows.gathered(totals[0]), perElement);
  const meanSquare = k.f("fmul.s", rows.gathered(totals[1]), perElement);
  const variance = k.f("fnmsub.s", off, off, meanSquare);
  const scale = inverse(k, variance, constants);
  const shift = k.f("fmul.s", k.f("fsgnjn.s", off, off), scale);
  return { middle, scale, shift, mean: k.f("fadd.s", middle, off) };
}

/** Writes a row: normalised, then times `gain` plus `bias`, where there are any. */
export function written<T, I>(
  rows: Rows<T, I>,
  { middle, scale, shift }: Moments,
  [x, gain, bias]: readonly [Stream, Stream | null, Stream | null],
  output: Stream,
  count: number,
): void {
  const { l } = rows;
  const inputs = [x, ...(gain ? [gain] : []), ...(bias ? [bias] : [])];
  rows.loop({
    inputs,
    output,
    count,
    step: ([v, second, third]) => {
      const from = middle ? l.sub(v, middle) : v;
      const y = shift ? l.fma(from, scale, shift) : l.mul(from, scale);
      const last = gain ? third : second;
      if (gain && bias) return l.accumulate(l.copy(last), y, second);
      if (gain) return l.mul(y, second);
      return bias ? l.add(y, last) : y;
    },
  });
}
