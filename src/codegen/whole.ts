/** Arithmetic on integer elements: of up to 32 bits in a register, of 64 bits in two. */

import type { Assembler } from "./assembler.ts";
import { type X, ZERO } from "./register.ts";
import { addWide, lessWide, mulWide, subWide, type Wide, widened } from "./wide.ts";

/** An operation on elements; of one operand where `b` is not read. Overflow wraps when results are stored. */
export interface IntegerOperation {
  narrow(k: Assembler, a: X, b: X, signed: boolean): X;
  wide(k: Assembler, a: Wide, b: Wide, signed: boolean): Wide;
}

/** target = yes where x is not 0. */
function replaceX(k: Assembler, target: X, x: X, yes: X): X {
  k.when("ne", x, ZERO, () => k.move(target, yes));
  return target;
}

function replaceWide(k: Assembler, target: Wide, x: X, yes: Wide): Wide {
  k.when("ne", x, ZERO, () => {
    k.move(target.low, yes.low);
    k.move(target.high, yes.high);
  });
  return target;
}

const copyWide = (k: Assembler, { low, high }: Wide): Wide => ({
  low: k.copy(low),
  high: k.copy(high),
});
const zeroWide = (k: Assembler): Wide => ({ low: k.li(0), high: k.li(0) });
const less = (k: Assembler, a: X, b: X, signed: boolean): X => k.x(signed ? "slt" : "sltu", a, b);
const negated = (k: Assembler, a: Wide): Wide => subWide(k, { low: ZERO, high: ZERO }, a);
const isNegative = (k: Assembler, a: X): X => k.x("slt", a, ZERO);

/** The smaller, or the larger. */
const extreme = (largest: boolean): IntegerOperation => ({
  narrow(k, a, b, signed) {
    const replaced = largest ? less(k, a, b, signed) : less(k, b, a, signed);
    return replaceX(k, k.copy(a), replaced, b);
  },
  wide(k, a, b, signed) {
    const replaced = largest ? lessWide(k, a, b, signed) : lessWide(k, b, a, signed);
    return replaceWide(k, copyWide(k, a), replaced, b);
  },
});

/** Towards zero; 0 where the divisor is 0. */
const divide: IntegerOperation = {
  narrow(k, a, b, signed) {
    const quotient = k.x(signed ? "div" : "divu", a, b);
    return replaceX(k, quotient, k.x("sltiu", b, 1), ZERO);
  },
  wide: (k, a, b, signed) => divided(k, a, b, signed).quotient,
};

/** With the sign of the dividend, as C's; 0 where the divisor is 0. */
const remainder: IntegerOperation = {
  narrow(k, a, b, signed) {
    const rest = k.x(signed ? "rem" : "remu", a, b);
    return replaceX(k, rest, k.x("sltiu", b, 1), ZERO);
  },
  wide: (k, a, b, signed) => divided(k, a, b, signed).rest,
};

/** With the sign of the divisor, as Python's. */
const modulo: IntegerOperation = {
  narrow(k, a, b, signed) {
    const rest = remainder.narrow(k, a, b, signed);
    if (!signed) return rest;
    const differs = k.x("and", isNegative(k, k.x("xor", rest, b)), k.x("sltu", ZERO, rest));
    return replaceX(k, rest, differs, k.add(rest, b));
  },
  wide(k, a, b, signed) {
    const rest = remainder.wide(k, a, b, signed);
    if (!signed) return rest;
    const some = k.x("sltu", ZERO, k.x("or", rest.low, rest.high));
    const differs = k.x("and", isNegative(k, k.x("xor", rest.high, b.high)), some);
    return replaceWide(k, rest, differs, addWide(k, rest, b));
  },
};

interface Division {
  readonly quotient: Wide;
  readonly rest: Wide;
}

function divided(k: Assembler, a: Wide, b: Wide, signed: boolean): Division {
  const size = (w: Wide): Wide =>
    signed ? replaceWide(k, copyWide(k, w), isNegative(k, w.high), negated(k, w)) : copyWide(k, w);
  const result = dividedUnsigned(k, size(a), size(b));
  if (!signed) return result;
  const turned = isNegative(k, k.x("xor", a.high, b.high));
  return {
    quotient: replaceWide(k, result.quotient, turned, negated(k, result.quotient)),
    rest: replaceWide(k, result.rest, isNegative(k, a.high), negated(k, result.rest)),
  };
}

/** Bit by bit where 32 bits are not enough. */
function dividedUnsigned(k: Assembler, a: Wide, b: Wide): Division {
  const [quotient, rest] = [copyWide(k, a), zeroWide(k)];
  const [short, done] = [k.newLabel(), k.newLabel()];
  k.when("eq", k.x("or", b.low, b.high), ZERO, () => {
    for (const r of [quotient.low, quotient.high]) k.set(r, 0);
    k.jump(done);
  });
  k.branch("eq", k.x("or", a.high, b.high), ZERO, short);
  k.repeat(64, () => {
    shiftLeft(k, rest, k.x("srli", quotient.high, 31));
    shiftLeft(k, quotient, ZERO);
    k.when("eq", lessWide(k, rest, b, false), ZERO, () => {
      const left = subWide(k, rest, b);
      k.move(rest.low, left.low);
      k.move(rest.high, left.high);
      k.to(quotient.low, "ori", quotient.low, 1);
    });
  });
  k.jump(done);
  k.label(short);
  k.to(rest.low, "remu", a.low, b.low);
  k.to(quotient.low, "divu", a.low, b.low);
  k.label(done);
  return { quotient, rest };
}

/** In place, with a bit that comes in. */
function shiftLeft(k: Assembler, { low, high }: Wide, bit: X): void {
  k.to(high, "slli", high, 1);
  k.to(high, "or", high, k.x("srli", low, 31));
  k.to(low, "slli", low, 1);
  k.to(low, "or", low, bit);
}

const absolute: IntegerOperation = {
  narrow: (k, a, _, signed) =>
    signed ? replaceX(k, k.copy(a), isNegative(k, a), k.sub(ZERO, a)) : a,
  wide: (k, a, _, signed) =>
    signed ? replaceWide(k, copyWide(k, a), isNegative(k, a.high), negated(k, a)) : a,
};

const sign: IntegerOperation = {
  narrow: (k, a, _, signed) =>
    signed ? k.sub(k.x("slt", ZERO, a), isNegative(k, a)) : k.x("sltu", ZERO, a),
  wide(k, a, _, signed) {
    const some = k.x("sltu", ZERO, k.x("or", a.low, a.high));
    if (!signed) return { low: some, high: ZERO };
    return widened(k, k.x("or", some, k.x("srai", a.high, 31)));
  },
};

const positive: IntegerOperation = {
  narrow: (k, a, _, signed) => (signed ? extreme(true).narrow(k, a, ZERO, true) : a),
  wide: (k, a, _, signed) =>
    signed ? extreme(true).wide(k, a, { low: ZERO, high: ZERO }, true) : a,
};

const add: IntegerOperation = {
  narrow: (k, a, b) => k.x("add", a, b),
  wide: (k, a, b) => addWide(k, a, b),
};

export const INTEGER: Readonly<Record<string, IntegerOperation>> = {
  Add: add,
  Sum: add,
  "nn.residual": add,
  Sub: { narrow: (k, a, b) => k.x("sub", a, b), wide: (k, a, b) => subWide(k, a, b) },
  Mul: { narrow: (k, a, b) => k.x("mul", a, b), wide: (k, a, b) => mulWide(k, a, b) },
  Div: divide,
  Mod: modulo,
  /** Mod with the attribute fmod. */
  Fmod: remainder,
  Max: extreme(true),
  Min: extreme(false),
  Neg: { narrow: (k, a) => k.sub(ZERO, a), wide: (k, a) => negated(k, a) },
  Abs: absolute,
  Sign: sign,
  Relu: positive,
};
