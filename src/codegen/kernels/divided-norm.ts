/**
 * Norms of rows that are fewer than the cores: every core takes a part of each row. First each finds the mean of its part, and gathers the
 * differences from it and their squares; then all combine those of all parts (Chan, Golub and LeVeque, "Updating formulae",
 * 1979) and write their own. Means are taken relative to that of the first part, so that nothing is lost far from zero.
 */

import type { KernelCode, KernelRequest, PhaseAssembler } from "../kernel.ts";
import { type Constants, constantsOf, inverse, type Moments, written } from "../moments.ts";
import type { F, X } from "../register.ts";
import { number } from "../request.ts";
import { onRows, type Rows } from "../row-loops.ts";
import { FLOAT_BYTES, type Stream } from "../strip.ts";

/** Of each part of a row: its mean, the sum of the differences from it, and that of their squares. */
const PART = { mean: 0, off: FLOAT_BYTES, squares: 2 * FLOAT_BYTES } as const;
const PART_BYTES = 3 * FLOAT_BYTES;
/** Parts with fewer elements are not worth the wait for each other. */
const LEAST = 16;
const EPSILON = 1e-5;

interface DividedNorm {
  readonly centred: boolean;
  readonly width: number;
  readonly count: number;
  /** Of gain and bias; null where there is none. */
  readonly steps: readonly (number | null)[];
}

/** Null where the rows are better left whole, or the mean and deviation are results too. */
export function dividedNorm(request: KernelRequest, norm: DividedNorm): KernelCode | null {
  const { width, count } = norm;
  const { cores, results } = request;
  const part = width / cores;
  const isFit = cores > 1 && 2 * count <= cores && Number.isInteger(part / 4) && part >= LEAST;
  if (!isFit || results.length > 1) return null;
  return {
    phases: [
      (k) => measure(k, norm, part),
      (k) => apply(k, norm, part, number(request, "epsilon", EPSILON)),
    ],
    scratchBytes: count * cores * PART_BYTES,
  };
}

/** Where this core's part of the first row begins. */
const ownPart = (k: PhaseAssembler, address: X, part: number, step = FLOAT_BYTES): Stream => ({
  address: step === 0 ? address : k.add(address, k.mul(k.core, part * step)),
  step,
});

function measure(k: PhaseAssembler, { centred, width, count }: DividedNorm, part: number): void {
  const { cores, isa } = k.request;
  const x = ownPart(k, k.operand(0), part);
  const to = k.add(k.scratch(), k.mul(k.core, PART_BYTES));
  const [zero, perElement] = [k.constant(0), k.constant(1 / part)];
  onRows(k, isa, 4, (rows) => {
    k.repeat(count, () => {
      const mean = centred ? k.f("fmul.s", sumOf(rows, x, part, zero), perElement) : zero;
      const [off, squares] = differences(rows, x, part, zero, centred ? mean : null);
      k.emit("fsw", mean, PART.mean, to);
      k.emit("fsw", off, PART.off, to);
      k.emit("fsw", squares, PART.squares, to);
      k.addTo(to, to, cores * PART_BYTES);
      k.addTo(x.address, x.address, width * FLOAT_BYTES);
    });
  });
}

function sumOf<T, I>(rows: Rows<T, I>, x: Stream, count: number, zero: F): F {
  const total = rows.total("add", zero);
  rows.loop({
    inputs: [x],
    output: null,
    count,
    totals: [total],
    step: ([v], [sum]) => {
      rows.l.gather("add", sum, v);
      return null;
    },
  });
  return rows.gathered(total);
}

/** The sums of the differences from the mean, or from 0, and of their squares. */
function differences<T, I>(
  rows: Rows<T, I>,
  x: Stream,
  count: number,
  zero: F,
  mean: F | null,
): readonly [F, F] {
  const { l } = rows;
  const totals = [rows.total("add", zero), rows.total("add", zero)] as const;
  rows.loop({
    inputs: [x],
    output: null,
    count,
    totals,
    step: ([v], [off, squares]) => {
      const difference = mean ? l.sub(v, mean) : v;
      l.gather("add", off, difference);
      l.accumulate(squares, difference, difference);
      return null;
    },
  });
  return [rows.gathered(totals[0]), rows.gathered(totals[1])];
}

function apply(k: PhaseAssembler, norm: DividedNorm, part: number, epsilon: number): void {
  const { width, count, steps } = norm;
  const { cores, isa } = k.request;
  const constants = constantsOf(k, width, epsilon);
  const [x, y] = [k.operand(0), k.result(0)].map((a) => ownPart(k, a, part)) as [Stream, Stream];
  const [gain = null, bias = null] = steps.map((step, i) =>
    step === null ? null : ownPart(k, k.operand(i + 1), part, step),
  );
  const parts = k.scratch();
  const momentsOf = combined(k, norm, part, constants);
  onRows(k, isa, 4, (rows) => {
    k.repeat(count, () => {
      written(rows, momentsOf(parts), [x, gain, bias], y, part);
      k.addTo(parts, parts, cores * PART_BYTES);
      for (const { address } of [x, y]) k.addTo(address, address, width * FLOAT_BYTES);
    });
  });
}

/** Of a row whose parts lie at an address. */
function combined(
  k: PhaseAssembler,
  { centred }: DividedNorm,
  part: number,
  constants: Constants,
): (parts: X) => Moments {
  const { cores } = k.request;
  const [perPart, perElement] = [k.constant(1 / cores), k.constant(1 / part)];
  const [size, two] = [k.constant(part), k.constant(2)];
  const all = Array.from({ length: cores }, (_, i) => i * PART_BYTES);
  return (parts) => {
    const read = (at: number, what: keyof typeof PART): F => k.f("flw", at + PART[what], parts);
    const middle = read(0, "mean");
    const [shift, squares] = [k.constant(0), k.constant(0)];
    for (const at of all) {
      k.to(squares, "fadd.s", squares, read(at, "squares"));
      if (!centred) continue;
      const from = k.f("fsub.s", read(at, "mean"), middle);
      k.to(shift, "fadd.s", shift, k.f("fmadd.s", read(at, "off"), perElement, from));
    }
    k.to(shift, "fmul.s", shift, perPart);
    for (const at of centred ? all : []) {
      const from = k.f("fsub.s", k.f("fsub.s", read(at, "mean"), middle), shift);
      const twice = k.f("fmul.s", read(at, "off"), two);
      k.to(squares, "fmadd.s", from, k.f("fmadd.s", from, size, twice), squares);
    }
    const scale = inverse(k, k.f("fmul.s", squares, constants.perElement), constants);
    if (!centred) return { middle: null, scale, shift: null, mean: constants.zero };
    const less = k.f("fmul.s", k.f("fsgnjn.s", shift, shift), scale);
    return { middle, scale, shift: less, mean: k.f("fadd.s", middle, shift) };
  };
}
