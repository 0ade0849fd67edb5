/** Operators that transformers are written with since opset 23. */

import {
  type Attributes,
  constant,
  fractions,
  type Operand,
  of,
  type Row,
  same,
  typed,
  values,
  x,
  y,
} from "./row.ts";

const since23 = (
  op: string,
  form: string,
  inputs: Row["inputs"],
  attrs: Attributes = {},
  more: Partial<Row> = {},
): Row => ({
  op,
  form,
  inputs,
  attrs,
  opset: 23,
  elems: ["f32", "f16", "f64"],
  tolerance: { relative: 4e-3, absolute: 1e-3 },
  ...more,
});

const q = fractions(2, 4, 3, 8);
const k = fractions(2, 2, 5, 8);
const v = fractions(2, 2, 5, 6);
const truths: Operand = typed("i1", values([3, 5], 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1, 1));

const ATTENTION: readonly Row[] = [
  since23("Attention", "grouped", [q, k, v]),
  since23("Attention", "causal", [q, fractions(2, 2, 3, 8), fractions(2, 2, 3, 8)], {
    is_causal: 1,
  }),
  since23("Attention", "scale", [q, k, v], { "scale:f": 0.1 }),
  since23("Attention", "softcap", [q, k, v], { "softcap:f": 2 }),
  since23("Attention", "mask", [q, k, v, fractions(3, 5)]),
  since23("Attention", "truths", [q, k, v, truths], {}, { elems: ["f32"] }),
  since23("Attention", "mask for each head", [q, k, v, fractions(2, 4, 3, 5)]),
  since23(
    "Attention",
    "three axes",
    [fractions(2, 3, 32), fractions(2, 5, 16), fractions(2, 5, 12)],
    { q_num_heads: 4, kv_num_heads: 2 },
  ),
  since23(
    "Attention",
    "past",
    [q, k, v, null, fractions(2, 2, 4, 8), fractions(2, 2, 4, 6)],
    {},
    { results: 3 },
  ),
  since23(
    "Attention",
    "past and causal",
    [
      q,
      fractions(2, 2, 3, 8),
      fractions(2, 2, 3, 6),
      null,
      fractions(2, 2, 4, 8),
      fractions(2, 2, 4, 6),
    ],
    { is_causal: 1 },
    { results: 3 },
  ),
];

const table = (n: number): Operand => constant(fractions(6, n));
const positions = typed("i64", values([2, 3], 0, 1, 2, 3, 4, 5));
const ROTARY: readonly Row[] = [
  since23("RotaryEmbedding", "", [x(2, 4, 3, 8), table(4), table(4), positions]),
  since23("RotaryEmbedding", "interleaved", [x(2, 4, 3, 8), table(4), table(4), positions], {
    interleaved: 1,
  }),
  since23("RotaryEmbedding", "part", [x(2, 4, 3, 8), table(2), table(2), positions], {
    rotary_embedding_dim: 4,
  }),
  since23("RotaryEmbedding", "three axes", [x(2, 3, 32), table(4), table(4), positions], {
    num_heads: 4,
  }),
  since23("RotaryEmbedding", "without positions", [
    x(2, 4, 3, 8),
    constant(fractions(2, 3, 4)),
    constant(y(2, 3, 4)),
  ]),
];

/** 24 and later, which ONNX Runtime's CPU may not have: what ONNX's formula gives. */
const OTHERS: readonly Row[] = [
  {
    op: "Swish",
    form: "",
    opset: 24,
    inputs: [same([3], 0, 1, -2)],
    elems: ["f32", "f64"],
    expected: (e) =>
      [same([3], ...[0, 1, -2].map((a) => a / (1 + Math.exp(-a))))?.make(e)].flatMap(
        (t) => t ?? [],
      ),
  },
  {
    op: "CumProd",
    form: "",
    opset: 26,
    inputs: [values([2, 3], 1, 2, 3, 4, 5, 6), of("i64", [], 1)],
    elems: ["f32", "f64", "i32", "i64"],
    expected: (e) => [values([2, 3], 1, 2, 6, 4, 20, 120)?.make(e)].flatMap((t) => t ?? []),
  },
  {
    op: "CumProd",
    form: "exclusive, reverse",
    opset: 26,
    attrs: { exclusive: 1, reverse: 1 },
    inputs: [values([3], 2, 3, 4), of("i64", [], 0)],
    elems: ["f32", "i64"],
    expected: (e) => [values([3], 12, 4, 1)?.make(e)].flatMap((t) => t ?? []),
  },
];

export const TRANSFORMER_ROWS: readonly Row[] = [...ATTENTION, ...ROTARY, ...OTHERS];
