/** Arithmetic and functions, element by element. Operands of other shapes are repeated as ONNX's broadcasting does. */

import { sizeOf } from "../../tensor/tensor.ts";
import { exponential } from "../exponential.ts";
import * as functions from "../functions/activations.ts";
import { hyperbolicCosine, hyperbolicSine, tangent } from "../functions/hyperbolic.ts";
import * as inverse from "../functions/inverse.ts";
import { logarithm } from "../functions/logarithm.ts";
import { errorFunction } from "../functions/normal.ts";
import { power } from "../functions/power.ts";
import { angleTangent, trigonometric } from "../functions/trigonometric.ts";
import { allInSingle } from "../in-single.ts";
import {
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type PhaseAssembler,
} from "../kernel.ts";
import type { Lanes } from "../lanes.ts";
import { given, number, presentOf, wanted, word } from "../request.ts";
import { type Compute, strips } from "../strip.ts";
import { broadcastStrides, byteStrides, eachRun } from "../walk.ts";
import { doubles } from "./doubles.ts";
import { integers, isWhole } from "./integers.ts";

const FLOAT_BYTES = 4;

/** Applies a function of these operands to single-precision elements. */
function floats(compute: Compute, operands: readonly number[]): Generate {
  return (request) => {
    const y = wanted(request);
    if (isWhole(y.elem)) return integers(request);
    if (y.elem === "f64") return doubles(request);
    const blocks = operands.map((i) => given(request, i));
    for (const { elem } of [...blocks, y]) {
      if (elem !== "f32") throw new KernelGap(`elements of type ${elem}`);
    }
    const phase = (k: PhaseAssembler): void => {
      const run = strips(k, k.request.isa, compute, operands.length);
      const inputs = blocks.map(({ shape }, i) => ({
        address: k.operand(operands[i] ?? 0),
        strides: broadcastStrides(shape, y.shape, FLOAT_BYTES),
      }));
      const output = { address: k.result(0), strides: byteStrides(y.shape, FLOAT_BYTES) };
      eachRun(k, y.shape, [output, ...inputs], ({ at, steps, count }) => {
        const streams = at.map((address, i) => ({ address, step: steps[i] ?? 0 }));
        const [to, ...from] = streams;
        if (to) run(from, { ...to, step: to.step || FLOAT_BYTES }, count);
      });
    };
    return { phases: [phase] };
  };
}

const unary = (make: functions.Make): Generate => floats((l) => make(l), [0]);

/** A function whose attributes are numbers. */
const parametric =
  (
    names: Readonly<Record<string, number>>,
    make: (...values: number[]) => functions.Make,
  ): Generate =>
  (request) => {
    const values = Object.entries(names).map(([n, otherwise]) => number(request, n, otherwise));
    return unary(make(...values))(request);
  };

const add: Compute = (l) => (a, b) => l.add(a, b);
const sub: Compute = (l) => (a, b) => l.sub(a, b);
const mul: Compute = (l) => (a, b) => l.mul(a, b);
const div: Compute = (l) => (a, b) => l.div(a, b);

/** NaN if one is, as JavaScript's and ONNX's. */
const extreme =
  (which: "min" | "max"): Compute =>
  (l) =>
  (a, b) => {
    const y = l.replace(l[which](a, b), a, "ne", a, a);
    return l.replace(y, b, "ne", b, b);
  };

const prelu: Compute = (l) => {
  const zero = l.k.constant(0);
  return (x, slope) => l.replace(l.copy(x), x, "lt", zero, l.mul(x, slope));
};

/** Any number of operands, combined from the left, and what is done at the end. */
const folded =
  (compute: Compute, last?: (count: number) => functions.Make): Generate =>
  (request) => {
    const present = presentOf(request);
    const all: Compute = (l) => {
      const combine = compute(l);
      const finish = last?.(present.length)(l);
      return (...values) => {
        const y = values.slice(1, present.length).reduce((a, b) => combine(a, b), values[0]);
        return finish ? finish(y) : y;
      };
    };
    return floats(all, present)(request);
  };

const dividedBy =
  (count: number): functions.Make =>
  (l) => {
    const by = l.k.constant(count);
    return (x) => l.div(x, by);
  };

/** f(gate) up. */
const gated: Generate = (request) => {
  const f = named(request);
  const compute: Compute = (l) => {
    const apply = f(l);
    return (gate, up) => l.mul(apply(gate), up);
  };
  return floats(compute, [0, 1])(request);
};

function named(request: KernelRequest): functions.Make {
  const name = word(request, "function", "");
  const make = functions.activation(name);
  if (!make) throw new KernelGap(`a function called ${name}`);
  return make;
}

/** Bounds are operands, or attributes in older files. A bound that is NaN is none; the upper one wins. */
const clip: Generate = (request) => {
  const bounds = [1, 2].flatMap((i) => (request.operands[i] ? [i] : []));
  const attribute = (name: string, otherwise: number) => number(request, name, otherwise);
  const compute: Compute = (l) => {
    const low = l.k.constant(attribute("min", Number.NEGATIVE_INFINITY));
    const high = l.k.constant(attribute("max", Number.POSITIVE_INFINITY));
    return (x, ...values) => {
      const at = (i: number) => (bounds.includes(i) ? values[bounds.indexOf(i)] : null);
      const y = l.min(l.max(x, at(1) ?? low), at(2) ?? high);
      return l.replace(y, x, "ne", x, x);
    };
  };
  return floats(compute, [0, ...bounds])(request);
};

const gelu: Generate = (request) => {
  const isTanh = word(request, "approximate", "none") === "tanh";
  return unary(isTanh ? functions.geluTanh : functions.geluErf)(request);
};

/** Exponents that need no logarithm. */
const POWERS: Readonly<Record<number, functions.Make>> = {
  0: (l) => {
    const one = l.k.constant(1);
    return (x) => l.splat(one, x);
  },
  1: () => (x) => x,
  2: (l) => (x) => l.mul(x, x),
  3: (l) => (x) => l.mul(l.mul(x, x), x),
  [-1]: (l) => reciprocal(l),
};

const pow: Generate = (request) => {
  const [exponent] = request.operands[1]?.values ?? [];
  const isOne = sizeOf(given(request, 1).shape) === 1;
  if (exponent === undefined || !isOne) return floats((l) => power(l), [0, 1])(request);
  const known = POWERS[exponent];
  if (known) return unary(known)(request);
  return unary((l) => {
    const [y, of] = [l.k.constant(exponent), power(l)];
    return (x) => of(x, l.splat(y, x));
  })(request);
};

const reciprocal = <T, I>(l: Lanes<T, I>) => {
  const one = l.k.constant(1);
  return (x: T) => l.divFrom(one, x);
};

export const ELEMENTWISE: GeneratorTable = allInSingle({
  Add: floats(add, [0, 1]),
  "nn.residual": floats(add, [0, 1]),
  Sub: floats(sub, [0, 1]),
  Mul: floats(mul, [0, 1]),
  Div: floats(div, [0, 1]),
  PRelu: floats(prelu, [0, 1]),
  Mod: (request) => {
    if (isWhole(wanted(request).elem)) return integers(request);
    throw new KernelGap("remainders of floats");
  },
  Max: folded(extreme("max")),
  Min: folded(extreme("min")),
  Sum: folded(add),
  Mean: folded(add, dividedBy),
  Clip: clip,
  Neg: unary((l) => (x) => l.negate(x)),
  Abs: unary((l) => (x) => l.abs(x)),
  Pow: pow,
  Sqrt: unary((l) => (x) => l.sqrt(x)),
  Reciprocal: unary(reciprocal),
  Exp: unary((l) => exponential(l)),
  Log: unary((l) => logarithm(l)),
  Erf: unary(errorFunction),
  Tanh: unary(tangent),
  Sigmoid: unary(functions.sigmoid),
  Sin: unary((l) => trigonometric(l, "sine")),
  Cos: unary((l) => trigonometric(l, "cosine")),
  Tan: unary(angleTangent),
  Asin: unary(inverse.arcSine),
  Acos: unary(inverse.arcCosine),
  Atan: unary(inverse.arcTangent),
  Sinh: unary(hyperbolicSine),
  Cosh: unary(hyperbolicCosine),
  Asinh: unary(inverse.areaSine),
  Acosh: unary(inverse.areaCosine),
  Atanh: unary(inverse.areaTangent),
  Relu: unary(functions.relu),
  Sign: unary(functions.sign),
  Round: unary(functions.rounded("even")),
  Floor: unary(functions.rounded("down")),
  Ceil: unary(functions.rounded("up")),
  Softsign: unary(functions.softsign),
  Softplus: unary(functions.softplus),
  Mish: unary(functions.mish),
  HardSwish: unary(functions.hardSwish),
  Gelu: gelu,
  Elu: parametric({ alpha: 1 }, functions.elu),
  Celu: parametric({ alpha: 1 }, functions.celu),
  LeakyRelu: parametric({ alpha: 0.01 }, functions.leakyRelu),
  ThresholdedRelu: parametric({ alpha: 1 }, functions.thresholdedRelu),
  Selu: parametric({ alpha: 1.6732631921768188, gamma: 1.0507010221481323 }, functions.selu),
  HardSigmoid: parametric({ alpha: 0.2, beta: 0.5 }, functions.hardSigmoid),
  Shrink: parametric({ bias: 0, lambd: 0.5 }, functions.shrink),
  Swish: parametric({ alpha: 1 }, functions.swish),
  "nn.activation": (request) => unary(named(request))(request),
  "nn.gated": gated,
});
