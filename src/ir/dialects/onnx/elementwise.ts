/** Operators that compute each result element from the operands' elements at the same place. */

import { isFloat, type TensorType } from "../../../tensor/tensor.ts";
import { intAttr } from "../../attrs.ts";
import { type AttrSpec, attr, type OpDef } from "../../define.ts";
import type { Op } from "../../op.ts";
import { elementwise } from "./accesses.ts";
import { elemOfNumber } from "./elements.ts";
import { float, int, onnxOp, string } from "./record.ts";
import {
  broadcastShapes,
  commonElem,
  impossible,
  type Operands,
  shapeAt,
  typeAt,
  typed,
  wrongElem,
} from "./shape.ts";

type Attributes = Readonly<Record<string, AttrSpec>>;

const sameType = (_: Op, operands: Operands): TensorType[] => [typeAt(operands, 0)];

/** The first operand's shape, true or false. */
const truth = (_: Op, operands: Operands): TensorType[] => [typed("i1", shapeAt(operands, 0))];

const shapesOf = (operands: Operands) => operands.flatMap((o) => (o ? [o.type.shape] : []));

const broadcasting = (_: Op, operands: Operands): TensorType[] => [
  typed(commonElem(operands), broadcastShapes(...shapesOf(operands))),
];

const comparing = (op: Op, operands: Operands): TensorType[] =>
  broadcasting(op, operands).map(({ shape }) => typed("i1", shape));

/** Operators of numbers that need not be floats, and of truths: the ONNX specification of each. */
const NUMBERS = ["Abs", "Erf", "Identity", "Neg", "Relu", "Shrink", "Sign"];

function unary(name: string, doc: string, attrs: Attributes = {}): OpDef {
  const infer = (op: Op, operands: Operands): TensorType[] => {
    const { elem } = typeAt(operands, 0);
    const isNumber = NUMBERS.includes(name) && (elem !== "i1" || name === "Identity");
    const allowed = isNumber || (name === "Not" ? elem === "i1" : isFloat(elem));
    const what = name === "Not" ? "truths" : NUMBERS.includes(name) ? "numbers" : "floats";
    if (!allowed) wrongElem(`takes ${what}, not ${elem}`);
    return sameType(op, operands);
  };
  return onnxOp(name, { doc, operands: ["x"], attrs, infer, access: elementwise });
}

/** Types of And, Or and Xor. */
const truths = (op: Op, operands: Operands): TensorType[] => {
  const types = broadcasting(op, operands);
  const [type] = types;
  if (type?.elem !== "i1") wrongElem(`takes truths, not ${type?.elem}`);
  return types;
};

/** Arithmetic is for numbers. */
const numeric = (op: Op, operands: Operands): TensorType[] => {
  const types = broadcasting(op, operands);
  if (types[0]?.elem === "i1") wrongElem("takes numbers, not i1");
  return types;
};

function binary(name: string, doc: string, infer = numeric, attrs: Attributes = {}): OpDef {
  return onnxOp(name, { doc, operands: ["a", "b"], attrs, infer, access: elementwise });
}

function variadic(name: string, doc: string): OpDef {
  return onnxOp(name, { doc, operands: ["x*"], infer: numeric, access: elementwise });
}

const UNARY: readonly OpDef[] = [
  unary("Abs", "The absolute value of x."),
  unary("Acos", "The angle, in radians, whose cosine is x."),
  unary("Acosh", "The inverse hyperbolic cosine of x."),
  unary("Asin", "The angle, in radians, whose sine is x."),
  unary("Asinh", "The inverse hyperbolic sine of x."),
  unary("Atan", "The angle, in radians, whose tangent is x."),
  unary("Atanh", "The inverse hyperbolic tangent of x."),
  unary("Ceil", "x rounded towards plus infinity."),
  unary("Cos", "The cosine of x, in radians."),
  unary("Cosh", "The hyperbolic cosine of x."),
  unary("Erf", "The error function of x."),
  unary("Exp", "e to the power of x."),
  unary("Floor", "x rounded towards minus infinity."),
  unary("Identity", "x itself."),
  unary("Log", "The natural logarithm of x."),
  unary("Neg", "x with its sign changed."),
  unary("Not", "True where x is false."),
  unary("Reciprocal", "One divided by x."),
  unary("Round", "x rounded to the nearest integer, halves to even."),
  unary("Sign", "-1, 0 or 1, as x is negative, zero or positive."),
  unary("Sin", "The sine of x, in radians."),
  unary("Sinh", "The hyperbolic sine of x."),
  unary("Sqrt", "The square root of x."),
  unary("Tan", "The tangent of x, in radians."),
  unary("Tanh", "The hyperbolic tangent of x."),
];

const ACTIVATIONS: readonly OpDef[] = [
  unary("Celu", "max(0, x) + min(0, alpha (exp(x / alpha) - 1)).", { alpha: float }),
  unary("Elu", "x where positive, else alpha (exp(x) - 1).", { alpha: float }),
  unary("Gelu", "x times the normal distribution function of x; approximate is none or tanh.", {
    approximate: string,
  }),
  unary("HardSigmoid", "alpha x + beta, held within 0 and 1.", { alpha: float, beta: float }),
  unary("HardSwish", "x times x / 6 + 1 / 2, the factor held within 0 and 1."),
  unary("LeakyRelu", "x where positive, else alpha x.", { alpha: float }),
  unary("Mish", "x tanh(log(1 + exp(x)))."),
  unary("Relu", "x where positive, else 0."),
  unary("Selu", "gamma x where positive, else gamma alpha (exp(x) - 1).", {
    alpha: float,
    gamma: float,
  }),
  unary("Shrink", "x towards 0 by bias, and 0 where it is within lambd of it.", {
    bias: float,
    lambd: float,
  }),
  unary("Sigmoid", "1 / (1 + exp(-x))."),
  unary("Softplus", "log(1 + exp(x))."),
  unary("Softsign", "x / (1 + |x|)."),
  unary("Swish", "x / (1 + exp(-alpha x)).", { alpha: float }),
  unary("ThresholdedRelu", "x where above alpha, else 0.", { alpha: float }),
  onnxOp("PRelu", {
    doc: "x where positive, else slope x; the slope broadcasts to x.",
    operands: ["x", "slope"],
    infer: broadcasting,
    access: elementwise,
  }),
  onnxOp("Clip", {
    doc: "x held within min and max, each of which may be absent.",
    operands: ["x", "min?", "max?"],
    infer(_, operands) {
      commonElem(operands);
      return [typeAt(operands, 0)];
    },
    access: elementwise,
  }),
];

const ARITHMETIC: readonly OpDef[] = [
  binary("Add", "a + b."),
  binary("Sub", "a - b."),
  binary("Mul", "a b."),
  binary("Div", "a / b; integers round towards zero."),
  binary("Mod", "The remainder of a / b, with the sign of b, or of a where fmod is 1.", numeric, {
    fmod: int,
  }),
  binary("Pow", "a to the power of b, in the element type of a.", (_, operands) => [
    typed(typeAt(operands, 0).elem, broadcastShapes(...shapesOf(operands))),
  ]),
  variadic("Sum", "The sum of the operands, element by element."),
  variadic("Mean", "The mean of the operands, element by element."),
  variadic("Max", "The largest of the operands, element by element."),
  variadic("Min", "The smallest of the operands, element by element."),
];

const LOGIC: readonly OpDef[] = [
  binary("And", "True where both are.", truths),
  binary("Or", "True where one or both are.", truths),
  binary("Xor", "True where exactly one is.", truths),
  binary("Equal", "True where a = b.", comparing),
  binary("Greater", "True where a > b.", comparing),
  binary("GreaterOrEqual", "True where a >= b.", comparing),
  binary("Less", "True where a < b.", comparing),
  binary("LessOrEqual", "True where a <= b.", comparing),
  onnxOp("IsNaN", {
    doc: "True where x is not a number.",
    operands: ["x"],
    infer: truth,
    access: elementwise,
  }),
  onnxOp("IsInf", {
    doc: "True where x is infinite, of the signs that the attributes ask for.",
    operands: ["x"],
    attrs: { detect_negative: int, detect_positive: int },
    infer: truth,
    access: elementwise,
  }),
  onnxOp("Where", {
    doc: "a where the condition is true, else b.",
    operands: ["condition", "a", "b"],
    infer(_, operands) {
      if (typeAt(operands, 0).elem !== "i1") wrongElem("the condition must be true or false");
      return [typed(commonElem(operands.slice(1)), broadcastShapes(...shapesOf(operands)))];
    },
    access: elementwise,
  }),
];

const CONVERSION: readonly OpDef[] = [
  onnxOp("Cast", {
    doc: "x in another element type; `to` is ONNX's number for it.",
    operands: ["x"],
    attrs: { to: attr.int, saturate: int, round_mode: string },
    infer: (op, operands) => [typed(elemOfNumber(intAttr(op, "to")), shapeAt(operands, 0))],
    access: elementwise,
  }),
  onnxOp("CastLike", {
    doc: "x in the element type of another tensor.",
    operands: ["x", "like"],
    attrs: { saturate: int, round_mode: string },
    infer: (_, operands) => [typed(typeAt(operands, 1).elem, shapeAt(operands, 0))],
    access: (op) => [elementwise(op)[0] ?? null, []],
  }),
  onnxOp("Dropout", {
    doc: "x itself: nothing is dropped outside training. The mask is all true.",
    operands: ["x", "ratio?", "training_mode?"],
    results: ["y", "mask?"],
    attrs: { seed: int },
    infer(_, operands) {
      // Importing makes every other Dropout an Identity.
      if (operands[2]) impossible("drops elements at random: its training_mode is not false");
      return [typeAt(operands, 0), typed("i1", shapeAt(operands, 0))];
    },
    access: elementwise,
  }),
];

export const ELEMENTWISE_OPS: readonly OpDef[] = [
  ...UNARY,
  ...ACTIVATIONS,
  ...ARITHMETIC,
  ...LOGIC,
  ...CONVERSION,
];
