/** Lanes of a scalar core: F registers, each instruction once for every one of them. */

import type { Assembler } from "./assembler.ts";
import {
  type Gathering,
  type Lanes,
  type Relation,
  ROUND,
  type Rounding,
  type Whole,
} from "./lanes.ts";
import type { F, X } from "./register.ts";
import { ZERO } from "./register.ts";

type Floats = readonly F[];
type Words = readonly X[];

/** The comparison that a relation needs, whether its operands are swapped, and what it gives where the relation holds. */
const COMPARE: Readonly<Record<Relation, readonly [name: string, swap: boolean, holds: boolean]>> =
  {
    lt: ["flt.s", false, true],
    le: ["fle.s", false, true],
    gt: ["flt.s", true, true],
    ge: ["fle.s", true, true],
    eq: ["feq.s", false, true],
    ne: ["feq.s", false, false],
  };

const isList = <R>(operand: R | readonly R[]): operand is readonly R[] => Array.isArray(operand);

export class ScalarLanes implements Lanes<Floats, Words> {
  readonly k: Assembler;
  constructor(k: Assembler) {
    this.k = k;
  }

  add(a: Floats, b: Floats | F): Floats {
    return this.two("fadd.s", a, b);
  }
  sub(a: Floats, b: Floats | F): Floats {
    return this.two("fsub.s", a, b);
  }
  subFrom(c: F, a: Floats): Floats {
    return a.map((r) => this.k.f("fsub.s", c, r));
  }
  mul(a: Floats, b: Floats | F): Floats {
    return this.two("fmul.s", a, b);
  }
  div(a: Floats, b: Floats | F): Floats {
    return this.two("fdiv.s", a, b);
  }
  divFrom(c: F, a: Floats): Floats {
    return a.map((r) => this.k.f("fdiv.s", c, r));
  }
  min(a: Floats, b: Floats | F): Floats {
    return this.two("fmin.s", a, b);
  }
  max(a: Floats, b: Floats | F): Floats {
    return this.two("fmax.s", a, b);
  }
  sqrt(a: Floats): Floats {
    return a.map((r) => this.k.f("fsqrt.s", r));
  }
  fma(a: Floats, b: Floats | F, c: F): Floats {
    return a.map((r, i) => this.k.f("fmadd.s", r, at(b, i), c));
  }
  fnma(a: Floats, b: Floats | F, c: Floats): Floats {
    return a.map((r, i) => this.k.f("fnmsub.s", r, at(b, i), at(c, i)));
  }
  gather(how: Gathering, total: Floats, a: Floats): Floats {
    return total.map((r, i) => this.k.to(r, `f${how}.s`, r, at(a, i)));
  }
  accumulate(sum: Floats, a: Floats, b: Floats | F): Floats {
    return sum.map((r, i) => this.k.to(r, "fmadd.s", at(a, i), at(b, i), r));
  }
  deduct(sum: Floats, a: Floats, b: Floats | F): Floats {
    return sum.map((r, i) => this.k.to(r, "fnmsub.s", at(a, i), at(b, i), r));
  }
  abs(a: Floats): Floats {
    return this.two("fsgnjx.s", a, a);
  }
  negate(a: Floats): Floats {
    return this.two("fsgnjn.s", a, a);
  }
  withSign(a: Floats, b: Floats): Floats {
    return this.two("fsgnj.s", a, b);
  }
  timesSign(a: Floats, b: Floats): Floats {
    return this.two("fsgnjx.s", a, b);
  }
  copy(a: Floats): Floats {
    return this.two("fsgnj.s", a, a);
  }
  splat(c: F, like: Floats): Floats {
    return like.map(() => this.k.f("fsgnj.s", c, c));
  }
  replace(target: Floats, a: Floats, relation: Relation, b: Floats | F, yes: Floats | F): Floats {
    const [name, swap, holds] = COMPARE[relation];
    const found = a.map((r, i) =>
      swap ? this.k.x(name, at(b, i), r) : this.k.x(name, r, at(b, i)),
    );
    return target.map((r, i) => this.overwrite(r, at(found, i), holds, at(yes, i)));
  }
  bits(a: Floats): Words {
    return a.map((r) => this.k.x("fmv.x.w", r));
  }
  fromBits(a: Words): Floats {
    return a.map((r) => this.k.f("fmv.w.x", r));
  }
  whole(a: Floats, rounding: Rounding): Words {
    return a.map((r) => this.k.x("fcvt.w.s", r, ROUND[rounding]));
  }
  fromWhole(a: Words): Floats {
    return a.map((r) => this.k.f("fcvt.s.w", r));
  }
  on(name: Whole, a: Words, b: Words | X | number): Words {
    if (typeof b !== "number") return a.map((r, i) => this.k.x(name, r, at(b, i)));
    if (name === "sub") return a.map((r) => this.k.x("addi", r, -b));
    return a.map((r) => this.k.x(`${name}i`, r, b));
  }
  replaceWhere(target: Floats, integer: Words, yes: Floats | F): Floats {
    return target.map((r, i) => this.overwrite(r, at(integer, i), true, at(yes, i)));
  }

  private two(name: string, a: Floats, b: Floats | F): Floats {
    return a.map((r, i) => this.k.f(name, r, at(b, i)));
  }

  /** target = yes where (x != 0) is `when`. */
  private overwrite(target: F, x: X, when: boolean, yes: F): F {
    const done = this.k.newLabel();
    this.k.branch(when ? "eq" : "ne", x, ZERO, done);
    this.k.to(target, "fsgnj.s", yes, yes);
    this.k.label(done);
    return target;
  }
}

/** The i-th of several, or the one that stands for all. */
function at<R>(operand: R | readonly R[], i: number): R {
  if (!isList(operand)) return operand;
  const found = operand[i];
  if (found === undefined) throw new Error("lanes of different numbers");
  return found;
}
