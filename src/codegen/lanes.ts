/**
 * Arithmetic on several numbers of single precision at once, so that a function is written once for scalar cores and
 * for vector cores. A value T is a list of F registers (their instructions interleave, which hides the latency of the
 * FPU) or a group of vector registers. Constants are F registers, made before the loop that uses them. Bits and
 * integers are values I of the same kind.
 */

import type { Assembler } from "./assembler.ts";
import type { F, X } from "./register.ts";

export type Relation = "lt" | "le" | "gt" | "ge" | "eq" | "ne";

/** How many numbers become one. */
export type Gathering = "add" | "max" | "min" | "mul";

/** Integer operations by their names in RV32I. */
export type Whole = "add" | "sub" | "and" | "or" | "xor" | "sll" | "srl" | "sra";

/** Rounding modes, as instructions encode them. */
export const ROUND = { even: 0, zero: 1, down: 2, up: 3 } as const;
export type Rounding = keyof typeof ROUND;

export interface Lanes<T, I> {
  readonly k: Assembler;
  add(a: T, b: T | F): T;
  /** a - b. */
  sub(a: T, b: T | F): T;
  /** c - a. */
  subFrom(c: F, a: T): T;
  mul(a: T, b: T | F): T;
  div(a: T, b: T | F): T;
  /** c / a. */
  divFrom(c: F, a: T): T;
  /** The smaller; of a number and a NaN the number. */
  min(a: T, b: T | F): T;
  max(a: T, b: T | F): T;
  sqrt(a: T): T;
  /** a b + c, rounded once. */
  fma(a: T, b: T | F, c: F): T;
  /** c - a b, rounded once. */
  fnma(a: T, b: T | F, c: T): T;
  /** The sum, or the larger or smaller one, of `total` and a in place of `total`. */
  gather(how: Gathering, total: T, a: T): T;
  /** sum + a b in place of `sum`. */
  accumulate(sum: T, a: T, b: T | F): T;
  /** sum - a b in place of `sum`. */
  deduct(sum: T, a: T, b: T | F): T;
  abs(a: T): T;
  negate(a: T): T;
  /** The magnitude of a with the sign of b. */
  withSign(a: T, b: T): T;
  /** a with its sign turned where b is negative. */
  timesSign(a: T, b: T): T;
  copy(a: T): T;
  /** The constant in as many lanes as `like` has. */
  splat(c: F, like: T): T;
  /** Where a relation b holds, `yes` in place of `target`. No relation but "ne" holds for NaN. */
  replace(target: T, a: T, relation: Relation, b: T | F, yes: T | F): T;
  bits(a: T): I;
  fromBits(a: I): T;
  /** As integers, saturated; NaN as the largest. */
  whole(a: T, rounding: Rounding): I;
  fromWhole(a: I): T;
  /** Integer arithmetic; numbers are -16 to 15, of shifts 0 to 31. */
  on(name: Whole, a: I, b: I | X | number): I;
  /** Where an integer is not 0, `yes` in place of `target`. */
  replaceWhere(target: T, integer: I, yes: T | F): T;
}

/** A function of one element, whose constants are made when it is made. */
export type Unary<T> = (x: T) => T;

/**
 * A polynomial of degree 1 or more; coefficients from that of x^0 on. By pairs in x^2: short chains for scalars, and few
 * instructions for vectors, whose multiply-add writes over an operand.
 */
export function polynomial<T, I>(l: Lanes<T, I>, coefficients: readonly number[]): Unary<T> {
  const constants = coefficients.map((c) => l.k.constant(c));
  return (x) => {
    const square = constants.length > 2 ? l.mul(x, x) : x;
    let high: T | F | null = null;
    for (let i = (constants.length - 1) & ~1; i >= 0; i -= 2) {
      const [even, odd] = constants.slice(i, i + 2);
      if (!even) continue;
      const pair: T | F = odd ? l.fma(x, odd, even) : even;
      // Only the highest may be a constant alone.
      high = high === null ? pair : l.accumulate(pair as T, square, high);
    }
    return high as T;
  };
}
