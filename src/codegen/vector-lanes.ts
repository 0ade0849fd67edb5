/** Lanes of a vector core: groups of vector registers. Whoever uses them has set vl, elements of 32 bits and LMUL. */

import type { Assembler } from "./assembler.ts";
import {
  type Gathering,
  type Lanes,
  type Relation,
  ROUND,
  type Rounding,
  type Whole,
} from "./lanes.ts";
import type { F, V, X } from "./register.ts";
import { V0, ZERO } from "./register.ts";

const isVector = (operand: V | F | X): operand is V => operand.file === "v";

export class VectorLanes implements Lanes<V, V> {
  readonly k: Assembler;
  /** LMUL. */
  readonly group: number;
  constructor(k: Assembler, group: number) {
    this.k = k;
    this.group = group;
  }

  add(a: V, b: V | F): V {
    return this.two("vfadd", a, b);
  }
  sub(a: V, b: V | F): V {
    return this.two("vfsub", a, b);
  }
  subFrom(c: F, a: V): V {
    return this.v("vfrsub.vf", a, c);
  }
  mul(a: V, b: V | F): V {
    return this.two("vfmul", a, b);
  }
  div(a: V, b: V | F): V {
    return this.two("vfdiv", a, b);
  }
  divFrom(c: F, a: V): V {
    return this.v("vfrdiv.vf", a, c);
  }
  min(a: V, b: V | F): V {
    return this.two("vfmin", a, b);
  }
  max(a: V, b: V | F): V {
    return this.two("vfmax", a, b);
  }
  sqrt(a: V): V {
    return this.v("vfsqrt.v", a);
  }
  fma(a: V, b: V | F, c: F): V {
    return this.accumulate(this.splat(c), a, b);
  }
  fnma(a: V, b: V | F, c: V): V {
    return this.deduct(this.copy(c), a, b);
  }
  gather(how: Gathering, total: V, a: V): V {
    return this.k.to(total, `vf${how}.vv`, total, a);
  }
  accumulate(sum: V, a: V, b: V | F): V {
    return this.onto(sum, "vfmacc", a, b);
  }
  deduct(sum: V, a: V, b: V | F): V {
    return this.onto(sum, "vfnmsac", a, b);
  }
  abs(a: V): V {
    return this.two("vfsgnjx", a, a);
  }
  negate(a: V): V {
    return this.two("vfsgnjn", a, a);
  }
  withSign(a: V, b: V): V {
    return this.two("vfsgnj", a, b);
  }
  timesSign(a: V, b: V): V {
    return this.two("vfsgnjx", a, b);
  }
  copy(a: V): V {
    return this.v("vmv.v.v", a);
  }
  splat(c: F): V {
    return this.v("vfmv.v.f", c);
  }
  replace(target: V, a: V, relation: Relation, b: V | F, yes: V | F): V {
    this.compare(a, relation, b);
    return this.merge(target, yes);
  }
  bits(a: V): V {
    return a;
  }
  fromBits(a: V): V {
    return a;
  }
  whole(a: V, rounding: Rounding): V {
    if (rounding === "zero") return this.v("vfcvt.rtz.x.f.v", a);
    if (rounding === "even") return this.v("vfcvt.x.f.v", a);
    // Vector conversions have no rounding mode of their own.
    const before = this.k.x("csrrwi", FRM, ROUND[rounding]);
    const result = this.v("vfcvt.x.f.v", a);
    this.k.emit("csrrw", ZERO, FRM, before);
    return result;
  }
  fromWhole(a: V): V {
    return this.v("vfcvt.f.x.v", a);
  }
  on(name: Whole, a: V, b: V | X | number): V {
    if (typeof b !== "number") return this.v(`v${name}.v${isVector(b) ? "v" : "x"}`, a, b);
    if (name === "sub") return this.v("vadd.vi", a, -b);
    return this.v(`v${name}.vi`, a, b);
  }
  replaceWhere(target: V, integer: V, yes: V | F): V {
    this.k.to(V0, "vmsne.vi", integer, 0);
    return this.merge(target, yes);
  }

  private compare(a: V, relation: Relation, b: V | F): void {
    if (!isVector(b)) this.k.to(V0, `vmf${relation}.vf`, a, b);
    else if (relation === "gt") this.k.to(V0, "vmflt.vv", b, a);
    else if (relation === "ge") this.k.to(V0, "vmfle.vv", b, a);
    else this.k.to(V0, `vmf${relation}.vv`, a, b);
  }
  private merge(target: V, yes: V | F): V {
    if (isVector(yes)) return this.k.to(target, "vmerge.vvm", target, yes);
    return this.k.to(target, "vfmerge.vfm", target, yes);
  }
  private two(name: string, a: V, b: V | F): V {
    return this.v(`${name}.v${isVector(b) ? "v" : "f"}`, a, b);
  }
  private onto(sum: V, name: string, a: V, b: V | F): V {
    return this.k.to(sum, `${name}.v${isVector(b) ? "v" : "f"}`, b, a);
  }
  private v(name: string, ...operands: readonly (V | F | X | number)[]): V {
    return this.k.v(this.group, name, ...operands);
  }
}

/** The CSR of the rounding mode. */
const FRM = 2;
