/** Numbers that are known when code is made, or lie in registers: arithmetic with what is known costs no instructions. */

import type { Assembler } from "../assembler.ts";
import { type X, ZERO } from "../register.ts";

export type Value = number | X;

const known = (v: Value): v is number => typeof v === "number";

/** Arithmetic of whole numbers without overflow; quotients are those of numbers that are not negative. */
export class Calc {
  readonly k: Assembler;

  constructor(k: Assembler) {
    this.k = k;
  }

  /** The value in a register, which must not be written. */
  register(v: Value): X {
    if (!known(v)) return v;
    return v === 0 ? ZERO : this.k.li(v);
  }

  add(a: Value, b: Value): Value {
    if (known(a)) return known(b) ? a + b : this.add(b, a);
    return b === 0 ? a : this.k.add(a, b);
  }

  sub(a: Value, b: Value): Value {
    if (known(b)) return this.add(a, -b);
    return a === b ? 0 : this.k.sub(this.register(a), b);
  }

  mul(a: Value, b: Value): Value {
    if (known(a)) return known(b) ? a * b : this.mul(b, a);
    if (b === 0) return 0;
    return b === 1 ? a : this.k.mul(a, b);
  }

  /** floor(a / b). */
  div(a: Value, b: number): Value {
    if (known(a)) return Math.floor(a / b);
    return b === 1 ? a : this.k.div(a, b);
  }

  /** ceil(a / b). */
  ceil(a: Value, b: number): Value {
    return this.div(this.add(a, b - 1), b);
  }

  rem(a: Value, b: number): Value {
    if (known(a)) return a % b;
    return b === 1 ? 0 : this.k.rem(a, b);
  }

  min(a: Value, b: Value): Value {
    if (known(a) && known(b)) return Math.min(a, b);
    return a === b ? a : this.k.min(this.register(a), this.register(b));
  }

  max(a: Value, b: Value): Value {
    if (known(a) && known(b)) return Math.max(a, b);
    if (a === b) return a;
    const { k } = this;
    const [least, most] = [this.register(a), this.register(b)];
    const result = k.copy(least);
    const done = k.newLabel();
    k.branch("ge", result, most, done);
    k.move(result, most);
    k.label(done);
    return result;
  }

  product(values: readonly Value[]): Value {
    return values.reduce((a, b) => this.mul(a, b), 1);
  }
}
