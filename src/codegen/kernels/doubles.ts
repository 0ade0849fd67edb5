/** Arithmetic on doubles, element by element, with broadcasting: in software, the same bits as src/tensor's kernels. */

import type { Assembler } from "../assembler.ts";
import { doubleConstant, isNone, isZero, magnitudeOf, negated } from "../double.ts";
import { addDouble, divDouble, mulDouble, sqrtDouble, subDouble } from "../double-arithmetic.ts";
import { lessDouble, orderOf, wholeDouble } from "../double-convert.ts";
import { eachWithPresent } from "../elements.ts";
import { type Generate, KernelGap, type KernelRequest, type PhaseAssembler } from "../kernel.ts";
import { type X, ZERO } from "../register.ts";
import { given, number, presentOf, wanted } from "../request.ts";
import { assignWide, copyWide, lessWide, loadWide, storeWide, type Wide } from "../wide.ts";

/** A function of all operands that are there. */
type Formula = (k: Assembler, values: readonly Wide[], request: KernelRequest) => Wide;

type Binary = (k: Assembler, a: Wide, b: Wide) => Wide;

const folded =
  (combine: Binary): Formula =>
  (k, values) =>
    values.slice(1).reduce((a, b) => combine(k, a, b), values[0] as Wide);

const unary =
  (f: (k: Assembler, x: Wide, request: KernelRequest) => Wide): Formula =>
  (k, [x], request) =>
    f(k, x as Wide, request);

/** yes where a register is not 0. */
function chosen(k: Assembler, condition: X, yes: Wide, no: Wide): Wide {
  const result = copyWide(k, no);
  k.when("ne", condition, ZERO, () => assignWide(k, result, yes));
  return result;
}

/** NaN if one is; of both zeros the one that JavaScript takes. */
export const extremeDouble =
  (which: "min" | "max"): Binary =>
  (k, a, b) => {
    const [low, high] = which === "max" ? [a, b] : [b, a];
    // -0 is less than 0 here: what is equal otherwise differs in the sign alone.
    const [x, y] = [orderOf(k, low), orderOf(k, high)];
    const bothZero = k.x("and", isZero(k, a), isZero(k, b));
    const isMore = k.x(
      "or",
      lessWide(k, x, y),
      k.x("and", bothZero, k.x("slt", low.high, high.high)),
    );
    const found = chosen(k, isMore, b, a);
    return chosen(k, isNone(k, b), b, chosen(k, isNone(k, a), a, found));
  };

const sign: Formula = unary((k, x) => {
  const one = { low: k.copy(ZERO), high: k.x("or", k.x("lui", 0x3ff00), signOf(k, x)) };
  return chosen(k, k.x("or", isZero(k, x), isNone(k, x)), x, one);
});

const signOf = (k: Assembler, { high }: Wide): X => k.x("slli", k.x("srli", high, 31), 31);

const zero = (k: Assembler): Wide => ({ low: k.copy(ZERO), high: k.copy(ZERO) });

const leaky: Formula = (k, [x, slope], request) => {
  const by = slope ?? doubleConstant(k, number(request, "alpha", 0.01));
  const value = x as Wide;
  return chosen(k, lessDouble(k, value, zero(k)), mulDouble(k, value, by), value);
};

/** A bound that is NaN is none. */
const clip: Formula = (k, [x, ...bounds], request) => {
  const present = [1, 2].map((i) => Boolean(request.operands[i]));
  const [first] = present;
  const given = [first ? bounds[0] : undefined, present[1] ? bounds.at(-1) : undefined];
  const names = ["min", "max"] as const;
  return names.reduce((y, name, i) => {
    const none = name === "min" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    const bound = given[i] ?? doubleConstant(k, number(request, name, none));
    const bounded = extremeDouble(name === "min" ? "max" : "min")(k, y, bound);
    return chosen(k, isNone(k, bound), y, bounded);
  }, x as Wide);
};

const DOUBLE: Readonly<Record<string, Formula>> = {
  Add: folded(addDouble),
  Sum: folded(addDouble),
  "nn.residual": folded(addDouble),
  Sub: folded(subDouble),
  Mul: folded(mulDouble),
  Div: folded(divDouble),
  Max: folded(extremeDouble("max")),
  Min: folded(extremeDouble("min")),
  Mean: (k, values, request) =>
    divDouble(k, folded(addDouble)(k, values, request), doubleConstant(k, values.length)),
  Neg: unary((k, x) => negated(k, x)),
  Abs: unary((k, x) => magnitudeOf(k, x)),
  Sign: sign,
  Sqrt: unary((k, x) => sqrtDouble(k, x)),
  Reciprocal: unary((k, x) => divDouble(k, doubleConstant(k, 1), x)),
  Relu: unary((k, x) => extremeDouble("max")(k, x, zero(k))),
  Floor: unary((k, x) => wholeDouble(k, x, "down")),
  Ceil: unary((k, x) => wholeDouble(k, x, "up")),
  Round: unary((k, x) => wholeDouble(k, x, "even")),
  LeakyRelu: leaky,
  PRelu: leaky,
  Clip: clip,
};

/** Errors: KernelGap for functions that are not there, and where other types are mixed in. */
export const doubles: Generate = (request) => {
  const formula = DOUBLE[request.kernel];
  const blocks = [...presentOf(request).map((i) => given(request, i)), wanted(request)];
  if (!formula || blocks.some(({ elem }) => elem !== "f64")) {
    throw new KernelGap("elements of type f64");
  }
  const phase = (k: PhaseAssembler): void =>
    eachWithPresent(k, (to, from) => {
      const values = from.map((place) => loadWide(k, ...place));
      storeWide(k, formula(k, values, request), ...to);
    });
  return { phases: [phase] };
};
