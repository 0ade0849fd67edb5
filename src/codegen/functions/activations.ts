/** Functions of one element in single precision, as src/tensor/kernels/unary.ts has them in double precision. */

import { exponential } from "../exponential.ts";
import type { Lanes, Rounding, Unary } from "../lanes.ts";
import { ZERO } from "../register.ts";
import { exponentialLessOne, tangent } from "./hyperbolic.ts";
import { logOnePlus } from "./logarithm.ts";
import { errorFunction, upperTail } from "./normal.ts";

/** Makes the constants, then gives the function. */
export type Make = <T, I>(l: Lanes<T, I>) => Unary<T>;

const zeroOf = <T, I>({ k }: Lanes<T, I>) => k.f("fmv.w.x", ZERO);

/** x / (1 + e^(-slope x)): SiLU with slope 1, ONNX Runtime's QuickGelu with 1.702. Within 3 ulp. */
export const swish =
  (slope: number): Make =>
  (l) => {
    const [one, minus] = [l.k.constant(1), l.k.constant(-slope)];
    const exp = exponential(l);
    return (x) => l.div(x, l.add(exp(l.mul(x, minus)), one));
  };

/** 1 / (1 + e^-x). Within 3 ulp where it is at least 2^-125. */
export const sigmoid: Make = (l) => {
  const one = l.k.constant(1);
  const exp = exponential(l);
  return (x) => l.divFrom(one, l.add(exp(l.negate(x)), one));
};

/** As max(x, 0) - |x| Q(|x|), where nothing cancels. Infinite arguments count as 20 in the product. */
export const geluErf: Make = (l) => {
  const [zero, most] = [zeroOf(l), l.k.constant(20)];
  const tail = upperTail(l);
  return (x) => l.deduct(l.max(x, zero), l.abs(l.min(x, most)), tail(l.abs(x)));
};

/** Since 1 + tanh(u) = 2 / (1 + e^(-2u)). */
export const geluTanh: Make = (l) => {
  const slope = -2 * Math.sqrt(2 / Math.PI);
  const [linear, cubic] = [l.k.constant(slope), l.k.constant(slope * 0.044715)];
  const one = l.k.constant(1);
  const exp = exponential(l);
  return (x) => {
    const u = l.mul(l.fma(l.mul(x, x), cubic, linear), x);
    return l.div(x, l.add(exp(u), one));
  };
};

/** max(x, 0) + log(1 + e^-|x|). */
export const softplus: Make = (l) => {
  const zero = zeroOf(l);
  const [exp, log] = [exponential(l, "zero"), logOnePlus(l)];
  return (x) => l.add(log(exp(l.negate(l.abs(x)))), l.max(x, zero));
};

/** x tanh(softplus(x)) = x w / (w + 2) with w = e^x (e^x + 2). */
export const mish: Make = (l) => {
  const [two, most] = [l.k.constant(2), l.k.constant(20)];
  const exp = exponential(l);
  return (x) => {
    const power = exp(l.min(x, most));
    const w = l.mul(l.add(power, two), power);
    return l.mul(x, l.div(w, l.add(w, two)));
  };
};

export const relu: Make = (l) => {
  const zero = zeroOf(l);
  return (x) => l.replace(l.copy(x), x, "le", zero, zero);
};

/** Between the bounds; NaN stays NaN. */
function bounded<T, I>(l: Lanes<T, I>, least: number, most: number): Unary<T> {
  const [low, high] = [l.k.constant(least), l.k.constant(most)];
  return (x) => l.replace(l.min(l.max(x, low), high), x, "ne", x, x);
}

export const hardSigmoid =
  (alpha: number, beta: number): Make =>
  (l) => {
    const [slope, shift] = [l.k.constant(alpha), l.k.constant(beta)];
    const within = bounded(l, 0, 1);
    return (x) => within(l.fma(x, slope, shift));
  };

export const hardSwish: Make = (l) => {
  const gate = hardSigmoid(1 / 6, 0.5)(l);
  return (x) => l.mul(x, gate(x));
};

/** x where it is not negative, else `below` of it, times `by`. */
const bent =
  (below: Make, by = 1): Make =>
  (l) => {
    const [zero, scale] = [zeroOf(l), l.k.constant(by)];
    const apply = below(l);
    return (x) => {
      const y = l.replace(l.copy(x), x, "lt", zero, apply(x));
      return by === 1 ? y : l.mul(y, scale);
    };
  };

/** ALPHA (e^(x / BETA) - 1). */
const saturating =
  (alpha: number, beta = 1): Make =>
  (l) => {
    const [scale, inverse] = [l.k.constant(alpha), l.k.constant(1 / beta)];
    const lessOne = exponentialLessOne(l);
    return (x) => l.mul(lessOne(beta === 1 ? x : l.mul(x, inverse)), scale);
  };

export const elu = (alpha: number): Make => bent(saturating(alpha));
export const celu = (alpha: number): Make => bent(saturating(alpha, alpha));
export const selu = (alpha: number, gamma: number): Make => bent(saturating(alpha), gamma);

export const leakyRelu = (alpha: number): Make =>
  bent((l) => {
    const slope = l.k.constant(alpha);
    return (x) => l.mul(x, slope);
  });

export const thresholdedRelu =
  (alpha: number): Make =>
  (l) => {
    const [zero, threshold] = [zeroOf(l), l.k.constant(alpha)];
    return (x) => l.replace(l.splat(zero, x), x, "gt", threshold, x);
  };

export const shrink =
  (bias: number, lambd: number): Make =>
  (l) => {
    const [by, high, low] = [l.k.constant(bias), l.k.constant(lambd), l.k.constant(-lambd)];
    const zero = zeroOf(l);
    return (x) => {
      const y = l.replace(l.splat(zero, x), x, "gt", high, l.sub(x, by));
      return l.replace(y, x, "lt", low, l.add(x, by));
    };
  };

export const softsign: Make = (l) => {
  const one = l.k.constant(1);
  return (x) => l.div(x, l.add(l.abs(x), one));
};

export const sign: Make = (l) => {
  const [zero, one, minusOne] = [zeroOf(l), l.k.constant(1), l.k.constant(-1)];
  return (x) => {
    const y = l.replace(l.copy(x), x, "gt", zero, one);
    return l.replace(y, x, "lt", zero, minusOne);
  };
};

/** From here on every number is whole. */
const ALL_WHOLE = 2 ** 23;

/** To a whole number, the sign also of zero kept. */
export const rounded =
  (rounding: Rounding): Make =>
  (l) => {
    const most = l.k.constant(ALL_WHOLE);
    return (x) => {
      const y = l.withSign(l.fromWhole(l.whole(x, rounding)), x);
      return l.replace(l.copy(x), l.abs(x), "lt", most, y);
    };
  };

/** By the names that nn.activation and nn.gated give them. */
const NAMED: Readonly<Record<string, Make>> = {
  gelu_erf: geluErf,
  gelu_tanh: geluTanh,
  quick_gelu: swish(1.702),
  silu: swish(1),
  swish: swish(1),
  relu,
  tanh: tangent,
  sigmoid,
  softplus,
  mish,
  hard_sigmoid: hardSigmoid(0.2, 0.5),
  hard_swish: hardSwish,
  elu: elu(1),
  selu: selu(1.6732631921768188, 1.0507010221481323),
  erf: errorFunction,
  identity: () => (x) => x,
};

export const activation = (name: string): Make | undefined => NAMED[name];
