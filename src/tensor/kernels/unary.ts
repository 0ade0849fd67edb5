/** Functions of one element, and the activations with a parameter or two. */

import { float32s, type Tensor } from "../tensor.ts";
import { type ElementFunction, mapElements } from "../vectors.ts";
import { erf } from "./erf.ts";
import { type Kernel, KernelFault, type KernelTable, num, operand, text } from "./kernel.ts";
import { type BigLanes, isBig, lanes, seal, workspace } from "./lanes.ts";

export type Fn = (x: number) => number;

/** Applies a function to each element, in doubles, and rounds to the element type. */
export function map(x: Tensor, fn: Fn): Tensor {
  const from = lanes(x);
  const out = workspace(x.elem, from.length);
  const wide = WIDE.get(fn);
  if (wide && from instanceof Float32Array && out instanceof Float32Array) {
    mapElements(from, out, wide);
  } else for (let i = 0; i < out.length; i++) out[i] = fn(from[i] as number);
  return seal(x.elem, x.shape, out);
}

/** map(x, fn) times y, element by element; null where that takes more than one pass. */
export function mapTimes(x: Tensor, fn: Fn, y: Tensor): Tensor | null {
  const wide = WIDE.get(fn);
  const [from, by] = [x.data, y.data];
  if (!wide || !(from instanceof Float32Array && by instanceof Float32Array)) return null;
  if (x.shape.length !== y.shape.length || x.shape.some((d, i) => d !== y.shape[i])) return null;
  const out = float32s(from.length);
  mapElements(from, out, wide, by);
  return { elem: "f32", shape: x.shape, data: out };
}

const unary =
  (fn: Fn): Kernel =>
  (call) => [map(operand(call, 0), fn)];

/** As `unary`, exact for 64-bit integers. */
const exact =
  (fn: Fn, big: (x: bigint) => bigint): Kernel =>
  (call) => {
    const x = operand(call, 0);
    if (!isBig(x.elem)) return [map(x, fn)];
    const data = (x.data as BigLanes).slice();
    for (let i = 0; i < data.length; i++) data[i] = big(data[i] as bigint);
    return [{ elem: x.elem, shape: x.shape, data }];
  };

/** To the nearest integer, halves to the even one; zero keeps the sign (IEEE 754, section 5.9). */
export function roundEven(x: number): number {
  const down = Math.floor(x);
  const above = x - down;
  const isDown = above === 0.5 ? down % 2 === 0 : above < 0.5;
  return isDown ? down : down + 1 || x * 0;
}

export const sigmoid: Fn = (x) => 1 / (1 + Math.exp(-x));
/** log(1 + e^x), without overflow for large x. */
const softplus: Fn = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const relu: Fn = (x) => Math.max(x, 0);
const geluErf: Fn = (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2));
/** Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", section 2. */
const geluTanh: Fn = (x) =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
/** x * sigmoid(1.702 x), as OpenAI's CLIP and ONNX Runtime's QuickGelu have it. */
export const QUICK_GELU_ALPHA = 1.702;
const silu: Fn = (x) => x / (1 + Math.exp(-x));
const mish: Fn = (x) => x * Math.tanh(softplus(x));
const hardSigmoid =
  (alpha: number, beta: number): Fn =>
  (x) =>
    Math.max(0, Math.min(1, alpha * x + beta));
const hardSwish: Fn = (x) => x * Math.max(0, Math.min(1, x / 6 + 0.5));
const elu =
  (alpha: number): Fn =>
  (x) =>
    x < 0 ? alpha * Math.expm1(x) : x;
/** Klambauer et al. 2017; these are ONNX's constants. */
const selu =
  (alpha: number, gamma: number): Fn =>
  (x) =>
    gamma * (x > 0 ? x : alpha * Math.expm1(x));
const swish =
  (alpha: number): Fn =>
  (x) =>
    x / (1 + Math.exp(-alpha * x));
const quickGelu = swish(QUICK_GELU_ALPHA);
/** Towards zero by `bias`, and to zero within `lambd` of it. */
const shrink =
  (bias: number, lambd: number): Fn =>
  (x) => {
    if (x < -lambd) return x + bias;
    return x > lambd ? x - bias : 0;
  };
/** Functions that WebAssembly computes of float32 numbers. */
const WIDE: ReadonlyMap<Fn, ElementFunction> = new Map<Fn, ElementFunction>([
  [Math.exp, { name: "exp" }],
  [Math.tanh, { name: "tanh" }],
  [erf, { name: "erf" }],
  [sigmoid, { name: "sigmoid" }],
  [silu, { name: "swish" }],
  [quickGelu, { name: "swish", alpha: QUICK_GELU_ALPHA }],
  [geluErf, { name: "gelu_erf" }],
  [geluTanh, { name: "gelu_tanh" }],
]);

/** Functions by the name that nn.activation and nn.gated give them. */
const ACTIVATIONS: Readonly<Record<string, Fn>> = {
  gelu_erf: geluErf,
  gelu_tanh: geluTanh,
  quick_gelu: quickGelu,
  silu,
  swish: silu,
  relu,
  tanh: Math.tanh,
  sigmoid,
  softplus,
  mish,
  hard_sigmoid: hardSigmoid(0.2, 0.5),
  hard_swish: hardSwish,
  elu: elu(1),
  selu: selu(1.6732631921768188, 1.0507010221481323),
  erf,
  identity: (x) => x,
};

export function activation(name: string): Fn {
  const fn = ACTIVATIONS[name];
  if (!fn) throw new KernelFault(`no activation is called '${name}'`);
  return fn;
}

/** A function whose attributes are read once, before the loop. */
const parametric =
  (names: Readonly<Record<string, number>>, make: (...values: number[]) => Fn): Kernel =>
  (call) => {
    const values = Object.entries(names).map(([name, otherwise]) => num(call, name, otherwise));
    return [map(operand(call, 0), make(...values))];
  };

export const UNARY: KernelTable = {
  Abs: exact(Math.abs, (x) => (x < 0n ? -x : x)),
  Neg: exact(
    (x) => -x,
    (x) => -x,
  ),
  Sign: exact(Math.sign, (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n)),
  Relu: exact(relu, (x) => (x < 0n ? 0n : x)),
  Sqrt: unary(Math.sqrt),
  Reciprocal: unary((x) => 1 / x),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Tan: unary(Math.tan),
  Acos: unary(Math.acos),
  Acosh: unary(Math.acosh),
  Asin: unary(Math.asin),
  Asinh: unary(Math.asinh),
  Atan: unary(Math.atan),
  Atanh: unary(Math.atanh),
  Cosh: unary(Math.cosh),
  Sinh: unary(Math.sinh),
  Tanh: unary(Math.tanh),
  Erf: unary(erf),
  Sigmoid: unary(sigmoid),
  Softplus: unary(softplus),
  Softsign: unary((x) => x / (1 + Math.abs(x))),
  Mish: unary(mish),
  Ceil: unary(Math.ceil),
  Floor: unary(Math.floor),
  Round: unary(roundEven),
  HardSwish: unary(hardSwish),
  Elu: parametric({ alpha: 1 }, elu),
  Celu: parametric({ alpha: 1 }, (alpha) => (x) => (x < 0 ? alpha * Math.expm1(x / alpha) : x)),
  LeakyRelu: parametric({ alpha: 0.01 }, (alpha) => (x) => (x < 0 ? alpha * x : x)),
  ThresholdedRelu: parametric({ alpha: 1 }, (alpha) => (x) => (x > alpha ? x : 0)),
  Selu: parametric({ alpha: 1.6732631921768188, gamma: 1.0507010221481323 }, selu),
  HardSigmoid: parametric({ alpha: 0.2, beta: 0.5 }, hardSigmoid),
  Shrink: parametric({ bias: 0, lambd: 0.5 }, shrink),
  Swish: parametric({ alpha: 1 }, swish),
  Gelu: (call) => [
    map(operand(call, 0), text(call, "approximate", "none") === "tanh" ? geluTanh : geluErf),
  ],
  "nn.activation": (call) => [map(operand(call, 0), activation(text(call, "function")))],
};
