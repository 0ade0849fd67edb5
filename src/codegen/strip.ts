/** A function of single-precision numbers over runs of elements: four at a time on a scalar core, groups of vectors. */

import type { Assembler } from "./assembler.ts";
import type { Isa } from "./isa.ts";
import type { Lanes } from "./lanes.ts";
import { type F, type V, type X, ZERO } from "./register.ts";
import { ScalarLanes } from "./scalar-lanes.ts";
import { VectorLanes } from "./vector-lanes.ts";

const FLOAT_BYTES = 4;
const UNROLL = 4;
/** Of vsetvli: elements of 32 bits, what lies behind vl may become anything. */
const E32 = (2 << 3) | (1 << 6) | (1 << 7);

/** The vtype of groups of so many registers. */
export const vectorType = (group: number): number => E32 | Math.log2(group);

/** Elements in memory; the register moves on as they are read. A step of 0 is the same one for all. */
export interface Stream {
  readonly address: X;
  /** In elements. */
  readonly step: number;
}

/** Makes constants first, then gives the function that is put into the loop; it must not change its arguments. */
export type Compute = <T, I>(l: Lanes<T, I>) => (a: T, b: T, c: T) => T;

export interface Strip {
  readonly inputs: readonly Stream[];
  /** Step 1 or more. */
  readonly output: Stream;
  readonly count: number | X;
  readonly compute: Compute;
  /** LMUL: as much as the registers that the function needs at once leave. */
  readonly group: number;
}

/** Writes `compute` of the inputs' elements, one after the other. Registers of streams are changed. */
export function strip(k: Assembler, isa: Isa, what: Strip): void {
  if (isa.vector) vectorStrip(k, what);
  else scalarStrip(k, what);
}

function scalarStrip(k: Assembler, { inputs, output, count, compute }: Strip): void {
  const lanes = new ScalarLanes(k);
  const apply = compute(lanes);
  const fixed = inputs.map((s) => (s.step === 0 ? k.f("flw", 0, s.address) : null));
  const some = (n: number): void => {
    const offsets = Array.from({ length: n }, (_, i) => i);
    const values = inputs.map((s, i) => {
      const same = fixed[i];
      return offsets.map((o) => same ?? k.f("flw", o * s.step * FLOAT_BYTES, s.address));
    });
    const results = applied(apply, values);
    for (const o of offsets) {
      k.emit("fsw", results[o] as F, o * output.step * FLOAT_BYTES, output.address);
    }
    for (const s of [...inputs, output]) {
      if (s.step !== 0) k.addTo(s.address, s.address, n * s.step * FLOAT_BYTES);
    }
  };
  const far = [...inputs, output].some((s) => UNROLL * s.step * FLOAT_BYTES > 2047);
  if (far) {
    k.repeat(count, () => some(1));
    return;
  }
  if (typeof count === "number") {
    k.repeat(Math.floor(count / UNROLL), () => some(UNROLL));
    k.repeat(count % UNROLL, () => some(1));
    return;
  }
  k.repeat(k.div(count, UNROLL), () => some(UNROLL));
  k.repeat(k.rem(count, UNROLL), () => some(1));
}

function vectorStrip(k: Assembler, what: Strip): void {
  const { inputs, output, count, compute, group } = what;
  const lanes = new VectorLanes(k, group);
  const apply = compute(lanes);
  const type = vectorType(group);
  const strides = new Map<number, X>();
  for (const { step } of [...inputs, output]) {
    if (step > 1 && !strides.has(step)) strides.set(step, k.li(step * FLOAT_BYTES));
  }
  k.emit("vsetvli", k.newX(), k.li(-1), type);
  const same = inputs.map((s) => (s.step === 0 ? lanes.splat(k.f("flw", 0, s.address)) : null));
  const left = typeof count === "number" ? k.li(count) : k.copy(count);
  const [again, done] = [k.newLabel(), k.newLabel()];
  k.far("eq", left, ZERO, done);
  k.label(again);
  const vl = k.x("vsetvli", left, type);
  const bytes = k.x("slli", vl, Math.log2(FLOAT_BYTES));
  const move = ({ address, step }: Stream): void => {
    if (step > 1) k.addTo(address, address, k.mul(bytes, step));
    else if (step === 1) k.addTo(address, address, bytes);
  };
  const values = inputs.map((s, i): V => {
    const held = same[i];
    if (held) return held;
    const stride = strides.get(s.step);
    const value = stride
      ? k.v(group, "vlse32.v", s.address, stride)
      : k.v(group, "vle32.v", s.address);
    move(s);
    return value;
  });
  const result = applied(apply, values);
  const apart = strides.get(output.step);
  if (apart) k.emit("vsse32.v", result, output.address, apart);
  else k.emit("vse32.v", result, output.address);
  move(output);
  k.to(left, "sub", left, vl);
  k.back("ne", left, ZERO, again);
  k.label(done);
}

/** There are as many values as the function takes. */
const applied = <T>(apply: (a: T, b: T, c: T) => T, [a, b, c]: readonly T[]): T =>
  apply(a as T, b as T, c as T);
