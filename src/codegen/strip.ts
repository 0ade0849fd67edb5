/** A function of single-precision numbers over runs of elements: four at a time on a scalar core, groups of vectors. */

import { Assembler } from "./assembler.ts";
import type { Isa } from "./isa.ts";
import type { Lanes } from "./lanes.ts";
import { type F, type V, type X, ZERO } from "./register.ts";
import { ScalarLanes } from "./scalar-lanes.ts";
import { VectorLanes } from "./vector-lanes.ts";
import { type Group, vectorLoop, vtypeOf } from "./vector-loop.ts";

export const FLOAT_BYTES = 4;
const UNROLL = 4;
const LARGEST_OFFSET = 2047;

/** Elements in memory; the register moves on as they are read. A step of 0 is the same one for all. */
export interface Stream {
  readonly address: X;
  /** Bytes from one to the next. */
  readonly step: number;
}

/** Makes constants first, then gives the function that is put into the loop; it must not change its arguments. */
export type Compute = <T, I>(l: Lanes<T, I>) => Apply<T>;
type Apply<T> = (a: T, b: T, ...more: readonly T[]) => T;

/** Writes the function of the inputs' elements, one after the other; the output's step is not 0. */
export type Strip = (inputs: readonly Stream[], output: Stream, count: number | X) => void;

/** Makes the constants; what it gives makes a loop that reads so many inputs. */
export function strips(k: Assembler, isa: Isa, compute: Compute, inputs: number): Strip {
  if (!isa.vector) return scalarStrips(k, compute);
  return vectorStrips(k, compute, groupFor(compute, inputs));
}

/** The largest groups that leave registers for all that the function needs at once. The first registers are the mask's. */
function groupFor(compute: Compute, inputs: number): Group {
  const k = new Assembler("draft");
  const apply = compute(new VectorLanes(k, 1));
  const values = Array.from({ length: inputs }, () => k.v(1, "vle32.v", ZERO));
  k.emit("vse32.v", applied(apply, values), ZERO);
  // Of several inputs, some may be the same for all elements and stay.
  if (inputs > 1) for (const v of values) k.emit("vse32.v", v, ZERO);
  const wanted = k.pressure("v");
  const found = ([8, 4, 2] as const).find((group) => 32 / group - 1 >= wanted);
  return found ?? 1;
}

/** There are as many values as the function takes. */
const applied = <T>(apply: Apply<T>, [a, b, ...more]: readonly T[]): T =>
  apply(a as T, b as T, ...more);

function scalarStrips(k: Assembler, compute: Compute): Strip {
  const apply = compute(new ScalarLanes(k));
  return (inputs, output, count) => {
    const fixed = inputs.map((s) => (s.step === 0 ? k.f("flw", 0, s.address) : null));
    const some = (n: number): void => {
      const offsets = Array.from({ length: n }, (_, i) => i);
      const values = inputs.map((s, i) => {
        const same = fixed[i];
        return offsets.map((o) => same ?? k.f("flw", o * s.step, s.address));
      });
      const results = applied(apply, values);
      for (const o of offsets) k.emit("fsw", results[o] as F, o * output.step, output.address);
      for (const s of [...inputs, output]) {
        if (s.step !== 0) k.addTo(s.address, s.address, n * s.step);
      }
    };
    inTurns(k, count, [...inputs, output].some(isFar) ? 1 : UNROLL, some);
  };
}

const isFar = ({ step }: Stream): boolean => UNROLL * Math.abs(step) > LARGEST_OFFSET;

/** `some` elements at a time, and what is left one by one. */
function inTurns(k: Assembler, count: number | X, turn: number, some: (n: number) => void): void {
  if (turn === 1) k.repeat(count, () => some(1));
  else if (typeof count === "number") {
    k.repeat(Math.floor(count / turn), () => some(turn));
    if (count % turn > 0) some(count % turn);
  } else {
    k.repeat(k.div(count, turn), () => some(turn));
    k.repeat(k.rem(count, turn), () => some(1));
  }
}

function vectorStrips(k: Assembler, compute: Compute, group: Group): Strip {
  const lanes = new VectorLanes(k, group);
  const type = vtypeOf(FLOAT_BYTES, group);
  const apply = compute(lanes);
  return (inputs, output, count) => {
    const streams = [...inputs, output];
    const strides = new Map<number, X>();
    for (const { step } of streams) if (isApart(step)) strides.set(step, k.li(step));
    k.emit("vsetvli", k.newX(), k.li(-1), type);
    const same = inputs.map((s) => (s.step === 0 ? lanes.splat(k.f("flw", 0, s.address)) : null));
    vectorLoop(k, count, FLOAT_BYTES, group, (vl) => {
      const values = inputs.map((s, i): V => same[i] ?? load(k, group, s, strides.get(s.step)));
      store(k, applied(apply, values), output, strides.get(output.step));
      for (const { address, step } of streams) {
        if (step !== 0) k.addTo(address, address, k.mul(vl, strides.get(step) ?? FLOAT_BYTES));
      }
    });
  };
}

const isApart = (step: number): boolean => step !== 0 && step !== FLOAT_BYTES;

/** The next elements of a stream; `stride` holds its step where they are not side by side. */
export const load = (k: Assembler, group: Group, { address }: Stream, stride: X | undefined): V =>
  stride ? k.v(group, "vlse32.v", address, stride) : k.v(group, "vle32.v", address);

export function store(k: Assembler, value: V, { address }: Stream, stride: X | undefined): void {
  if (stride) k.emit("vsse32.v", value, address, stride);
  else k.emit("vse32.v", value, address);
}
