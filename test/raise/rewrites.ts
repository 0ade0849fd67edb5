/** One operation written otherwise: each rule is an identity of arithmetic, or of the operators' definitions. */

import type { Attrs, Op, Value } from "../../src/ir/op.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Writes operations before the one in question, and knows what is before it. */
export interface Pen {
  define(kind: string, operands: readonly Value[], type: Value["type"], attrs?: Attrs): Value;
  constant(value: Tensor): Value;
  valueOf(v: Value | null | undefined): Tensor | undefined;
  producer(v: Value | null | undefined): Op | undefined;
  /** How often a value is read. */
  uses(v: Value): number;
}

/** The operation in another form, whose last part has its results; null where the rule says nothing. */
export type Rewrite = (op: Op, pen: Pen) => Op | null;

type Binary = (op: Op, a: Value, b: Value, pen: Pen) => Op | null;

const binary =
  (kinds: readonly string[], rule: Binary): Rewrite =>
  (op, pen) => {
    const [a, b] = op.operands;
    const isOne = kinds.includes(op.kind.replace("onnx.", "")) && a?.type.elem === b?.type.elem;
    return isOne && a && b ? rule(op, a, b, pen) : null;
  };

const isReal = (v: Value): boolean => v.type.elem === "f32";
const real = (shape: readonly number[], values: readonly number[]): Tensor =>
  fromNumbers("f32", shape, values);
const ints = (pen: Pen, values: readonly number[]): Value =>
  pen.constant(fromNumbers("i64", [values.length], values));

const scalarOf = (v: Value, pen: Pen): number | undefined => {
  const value = pen.valueOf(v);
  return value?.data.length === 1 ? toNumbers(value)[0] : undefined;
};

const mapped = (value: Tensor, f: (n: number) => number): Tensor =>
  fromNumbers(value.elem, value.shape, toNumbers(value).map(f));

const swap = binary(["Add", "Mul", "And", "Or", "Equal"], (op, a, b) => ({
  ...op,
  operands: [b, a],
}));

/** (a · b) · c as a · (b · c), for sums and products that nobody else reads. */
const associate = binary(["Add", "Mul"], (op, a, c, pen) => {
  const inner = pen.producer(a);
  const [x, y] = inner?.operands ?? [];
  const [result] = op.results;
  if (inner?.kind !== op.kind || pen.uses(a) !== 1 || !x || !y || !result || !isReal(a))
    return null;
  // Only where the new inner one does not broadcast otherwise than the result.
  const shapes = [y, c].map((v) => v.type.shape);
  const wide = shapes.find((s) => s.join() === result.type.shape.join());
  const shape = wide ?? (shapes[0]?.join() === shapes[1]?.join() ? shapes[0] : undefined);
  // Sums of large numbers of both signs may lose what is small.
  if (!shape || [x, y, c].some((v) => isLarge(v, pen))) return null;
  const other = pen.define(op.kind.replace("onnx.", ""), [y, c], { ...result.type, shape });
  return { ...op, operands: [x, other] };
});

const isLarge = (v: Value, pen: Pen): boolean => {
  const value = pen.valueOf(v);
  return value !== undefined && toNumbers(value).some((n) => Math.abs(n) > 100);
};

const divideByConstant = binary(["Div"], (op, a, b, pen) => {
  const value = pen.valueOf(b);
  if (!value || !isReal(b) || toNumbers(value).includes(0)) return null;
  return { ...op, kind: "onnx.Mul", operands: [a, pen.constant(mapped(value, (n) => 1 / n))] };
});

const multiplyByConstant = binary(["Mul"], (op, a, b, pen) => {
  const n = isReal(b) ? scalarOf(b, pen) : undefined;
  if (!n || Math.abs(n) > 1e4) return null;
  return {
    ...op,
    kind: "onnx.Div",
    operands: [a, pen.constant(real(b.type.shape.map(Number), [1 / n]))],
  };
});

const divideByReciprocal = binary(["Div"], (op, a, b, pen) =>
  isReal(b) && !pen.valueOf(b)
    ? { ...op, kind: "onnx.Mul", operands: [a, pen.define("Reciprocal", [b], b.type)] }
    : null,
);

const divideByQuotient = binary(["Div"], (op, a, b, pen) =>
  isReal(b) && !pen.valueOf(b)
    ? {
        ...op,
        kind: "onnx.Mul",
        operands: [pen.define("Div", [pen.constant(real([], [1])), b], b.type), a],
      }
    : null,
);

const subtractConstant = binary(["Sub"], (op, a, b, pen) => {
  const value = isReal(b) ? pen.valueOf(b) : undefined;
  return value
    ? { ...op, kind: "onnx.Add", operands: [pen.constant(mapped(value, (n) => -n)), a] }
    : null;
});

/** Nobody writes 0 + -x. */
const subtractNegated = binary(["Sub"], (op, a, b, pen) =>
  isReal(b) && !pen.valueOf(b) && scalarOf(a, pen) !== 0
    ? { ...op, kind: "onnx.Add", operands: [a, pen.define("Neg", [b], b.type)] }
    : null,
);

const square: Rewrite = binary(["Pow"], (op, a, b, pen) =>
  scalarOf(b, pen) === 2 ? { ...op, kind: "onnx.Mul", operands: [a, a] } : null,
);

const squareAsPower: Rewrite = binary(["Mul"], (op, a, b, pen) =>
  a === b && isReal(a)
    ? { ...op, kind: "onnx.Pow", operands: [a, pen.constant(real([], [2]))] }
    : null,
);

const unary =
  (kind: string, rule: (op: Op, x: Value, pen: Pen) => Op | null): Rewrite =>
  (op, pen) => {
    const [x] = op.operands;
    return op.kind === `onnx.${kind}` && x && isReal(x) ? rule(op, x, pen) : null;
  };

const rootAsPower = unary("Sqrt", (op, x, pen) => ({
  ...op,
  kind: "onnx.Pow",
  operands: [x, pen.constant(real([], [0.5]))],
}));

const minusAsProduct = unary("Neg", (op, x, pen) => ({
  ...op,
  kind: "onnx.Mul",
  operands: [x, pen.constant(real([], [-1]))],
}));

const minusAsDifference = unary("Neg", (op, x, pen) => ({
  ...op,
  kind: "onnx.Sub",
  operands: [pen.constant(real([], [0])), x],
}));

const reciprocalAsQuotient = unary("Reciprocal", (op, x, pen) => ({
  ...op,
  kind: "onnx.Div",
  operands: [pen.constant(real([], [1])), x],
}));

/** The other branch under the opposite condition. */
const choice: Rewrite = (op, pen) => {
  const [condition, yes, no] = op.operands;
  if (op.kind !== "onnx.Where" || !condition || !yes || !no) return null;
  return { ...op, operands: [pen.define("Not", [condition], condition.type), no, yes] };
};

/** c · (A B) as (c A) B, A (c B), or (√c A)(√c B). */
const scaleOfProduct =
  (left: number, right: number): Rewrite =>
  (op, pen) => {
    const [y, c] = op.operands;
    const product = pen.producer(y);
    const by = c && isReal(c) ? scalarOf(c, pen) : undefined;
    const [a, b] = product?.operands ?? [];
    const isScaled = op.kind === "onnx.Mul" && product?.kind === "onnx.MatMul" && by && by > 0;
    if (!isScaled || !y || !a || !b || pen.uses(y) !== 1 || pen.valueOf(a) || pen.valueOf(b))
      return null;
    const times = (v: Value, power: number) =>
      power === 0 ? v : pen.define("Mul", [v, pen.constant(real([], [by ** power]))], v.type);
    return { ...product, operands: [times(a, left), times(b, right)], results: op.results };
  };

/** x W as (Wᵀ is stored) Gemm on flattened rows. */
const asGemm: Rewrite = (op, pen) => {
  const [x, w] = op.operands;
  const [y] = op.results;
  const matrix = pen.valueOf(w);
  if (op.kind !== "onnx.MatMul" || !x || !y || matrix?.shape.length !== 2) return null;
  if (x.type.shape.length < 2 || x.type.shape.includes(null) || !isReal(x)) return null;
  const [inputs = 0, outputs = 0] = matrix.shape;
  const rows = x.type.shape.slice(0, -1).reduce<number>((n, d) => n * Number(d), 1);
  const values = toNumbers(matrix);
  const turned = Array.from({ length: values.length }, (_, i) => {
    const [o, k] = [Math.floor(i / inputs), i % inputs];
    return values[k * outputs + o] ?? 0;
  });
  const flat = pen.define("Reshape", [x, ints(pen, [rows, inputs])], {
    elem: "f32",
    shape: [rows, inputs],
  });
  const stored = pen.constant(real([outputs, inputs], turned));
  const type = { elem: "f32", shape: [rows, outputs] } as const;
  const product = pen.define("Gemm", [flat, stored], type, { transB: 1 });
  return { ...op, kind: "onnx.Reshape", operands: [product, ints(pen, y.type.shape.map(Number))] };
};

const LETTERS = "abcdefgh";

/** A product of matrices as the contraction that it is. */
const asEinsum: Rewrite = (op, pen) => {
  const [a, b] = op.operands;
  const rank = a?.type.shape.length ?? 0;
  if (op.kind !== "onnx.MatMul" || !a || !b || rank < 2 || !isReal(a)) return null;
  const isMatrix = pen.valueOf(b)?.shape.length === 2;
  if (!isMatrix && b.type.shape.slice(0, -2).join() !== a.type.shape.slice(0, -2).join())
    return null;
  const lead = LETTERS.slice(0, rank - 2);
  const equation = `${lead}mk,${isMatrix ? "" : lead}kn->${lead}mn`;
  return { ...op, kind: "onnx.Einsum", attrs: { equation } };
};

/** Axes counted from the other end. */
const fromTheEnd: Rewrite = (op) => {
  const { axis } = op.attrs;
  const rank = op.operands[0]?.type.shape.length ?? 0;
  const isAxis = ["onnx.Softmax", "onnx.Concat", "onnx.Split", "onnx.Gather"].includes(op.kind);
  if (!isAxis || typeof axis !== "number" || op.operands[0]?.type.shape.includes(null)) return null;
  return { ...op, attrs: { ...op.attrs, axis: axis < 0 ? axis + rank : axis - rank } };
};

/** A rotation of axes as two. */
const twoTransposes: Rewrite = (op, pen) => {
  const { perm } = op.attrs;
  const [x] = op.operands;
  if (op.kind !== "onnx.Transpose" || !Array.isArray(perm) || !x || perm.length < 3) return null;
  const axes = perm.map(Number);
  const first = [...axes.slice(0, -2), ...axes.slice(-2).toReversed()];
  const shape = first.map((p) => x.type.shape[p] ?? null);
  const half = pen.define("Transpose", [x], { ...x.type, shape }, { perm: first });
  const last = axes.map((_, i) => i);
  const swapped = [...last.slice(0, -2), ...last.slice(-2).toReversed()];
  return { ...op, operands: [half], attrs: { perm: swapped } };
};

export const REWRITES: readonly Rewrite[] = [
  swap,
  associate,
  divideByConstant,
  multiplyByConstant,
  divideByReciprocal,
  divideByQuotient,
  subtractConstant,
  subtractNegated,
  square,
  squareAsPower,
  rootAsPower,
  minusAsProduct,
  minusAsDifference,
  reciprocalAsQuotient,
  choice,
  scaleOfProduct(1, 0),
  scaleOfProduct(0, 1),
  scaleOfProduct(0.5, 0.5),
  asGemm,
  asEinsum,
  fromTheEnd,
  twoTransposes,
];
