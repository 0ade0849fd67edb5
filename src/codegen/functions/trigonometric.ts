/**
 * Sine and cosine in single precision, for scalar and vector cores.
 *
 * x = n pi / 2 + r: n as in the exponential; pi / 2 in three parts of 24 bits, of which multiply-adds take the first away
 * without an error (Cody and Waite 1980, chapter 8). Then polynomials of degree 9 and 10 for |r| <= pi / 4 (relative errors
 * 4e-9 and 1e-9). Within 1 ulp up to |x| = 1e5; the error stays below 1e-7 up to 1e6 and is not bounded beyond. Measured
 * by test/codegen/functions.test.ts.
 */

import type { Lanes, Unary } from "../lanes.ts";
import { polynomial } from "../lanes.ts";

const HALF_PI = [1.5707963705062866, -4.3711388286737929e-8, -1.7151245100058819e-15] as const;
/** A sum with it has no fraction, and its last bits count the quarter turns. */
const WHOLE = 0xc00000;
const SINE = [-0.166666672, 0.00833332911, -0.000198391514, 2.71660429e-6];
const COSINE = [0.0416666679, -0.00138888822, 2.4799283e-5, -2.71914246e-7];
/** Where the second bit of the quarters has to go to be the sign. */
const TO_SIGN = 30;

/** An angle without its quarter turns. */
interface Reduced<T, I> {
  /** The bits of a number whose last digits count the quarter turns. */
  readonly quarters: I;
  readonly sine: T;
  readonly cosine: T;
}

function reduced<T, I>(l: Lanes<T, I>): (x: T) => Reduced<T, I> {
  const { k } = l;
  const [perQuarter, whole] = [k.constant(2 / Math.PI), k.constant(WHOLE)];
  const [high, middle, low] = [
    k.constant(HALF_PI[0]),
    k.constant(HALF_PI[1]),
    k.constant(HALF_PI[2]),
  ];
  const [one, minusHalf] = [k.constant(1), k.constant(-0.5)];
  const [sine, cosine] = [polynomial(l, SINE), polynomial(l, COSINE)];
  return (x) => {
    const sum = l.fma(x, perQuarter, whole);
    const n = l.sub(sum, whole);
    const r = l.deduct(l.deduct(l.fnma(n, high, x), n, middle), n, low);
    const square = l.mul(r, r);
    const even = l.accumulate(l.fma(square, minusHalf, one), l.mul(square, square), cosine(square));
    const odd = l.accumulate(r, l.mul(r, square), sine(square));
    return { quarters: l.bits(sum), sine: odd, cosine: even };
  };
}

export function trigonometric<T, I>(l: Lanes<T, I>, which: "sine" | "cosine"): Unary<T> {
  const parts = reduced(l);
  return (x) => {
    const { quarters, sine, cosine } = parts(x);
    const turned = which === "sine" ? quarters : l.on("add", quarters, 1);
    const y = l.replaceWhere(sine, l.on("and", turned, 1), cosine);
    const sign = l.on("sll", l.on("and", turned, 2), TO_SIGN);
    return l.fromBits(l.on("xor", l.bits(y), sign));
  };
}

/** The quotient of both, or of the cosine and the sine with the other sign. Within 4 ulp up to |x| = 1e5. */
export function angleTangent<T, I>(l: Lanes<T, I>): Unary<T> {
  const parts = reduced(l);
  return (x) => {
    const { quarters, sine, cosine } = parts(x);
    const turned = l.on("and", quarters, 1);
    const above = l.replaceWhere(l.copy(sine), turned, l.negate(cosine));
    return l.div(above, l.replaceWhere(cosine, turned, sine));
  };
}
