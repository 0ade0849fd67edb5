/** Matrix products, also of quantised tensors, and what makes quantised tensors. */

import { constant, forms, type Row, x, y } from "./row.ts";

const PRODUCTS: readonly Row[] = [
  ...forms(
    "MatMul",
    ["f32", "i32"],
    [
      ["", [x(2, 3), y(3, 4)]],
      ["vectors", [x(3), y(3)]],
      ["by a vector", [x(2, 3), y(3)]],
      ["of a vector", [x(3), y(3, 2)]],
      ["stacks", [x(2, 2, 3), y(2, 3, 2)]],
      ["a stack by one", [x(2, 2, 3), y(3, 2)]],
      ["one by a stack", [x(2, 3), y(2, 3, 2)]],
      ["stacks broadcast", [x(2, 1, 2, 3), y(3, 3, 2)]],
      ["a vector by a stack", [x(3), y(2, 3, 2)]],
      ["a stack by a vector", [x(2, 2, 3), y(3)]],
      ["over nothing", [x(2, 0), y(0, 3)]],
      ["of nothing", [x(0, 2), y(2, 3)]],
      ["a constant", [x(2, 3), constant(y(3, 4))]],
      ["constants with more axes", [x(1, 1, 2), constant(y(1, 5, 2, 4))]],
      ["constants with more axes, a matrix for each row", [x(5, 1, 2), constant(y(1, 1, 5, 2, 4))]],
      ["constant first", [constant(x(2, 3)), y(3, 4)]],
      ["opset 9", [x(2, 3), y(3, 4)], {}, { opset: 9 }],
    ],
  ),
  ...forms(
    "Gemm",
    ["f32", "i32"],
    [
      ["", [x(2, 3), y(3, 4), x(4)]],
      ["without c", [x(2, 3), y(3, 4)]],
      ["transposed", [x(3, 2), y(4, 3), x(2, 1)], { transA: 1, transB: 1 }],
      ["transA", [x(3, 2), y(3, 4)], { transA: 1 }],
      ["transB", [x(2, 3), y(4, 3)], { transB: 1 }],
      [
        "alpha and beta",
        [x(2, 3), y(3, 4), x(2, 4)],
        { "alpha:f": 0.5, "beta:f": 2 },
        { elems: ["f32", "f64", "f16"] },
      ],
      ["beta 0", [x(2, 3), y(3, 4), x(1, 4)], { "beta:f": 0 }],
      ["scalar c", [x(2, 3), y(3, 4), x()]],
      ["over nothing", [x(2, 0), y(0, 3), x(3)]],
      ["of nothing", [x(0, 2), y(2, 3), x(3)]],
      ["a constant", [x(2, 3), constant(y(3, 4)), constant(x(4))]],
      ["opset 9", [x(2, 3), y(3, 4), x(4)], {}, { opset: 9 }],
      ["opset 7", [x(2, 3), y(3, 4), x(1)], {}, { opset: 7 }],
    ],
  ),
  ...forms(
    "Einsum",
    ["f32", "i32"],
    (
      [
        ["ij,jk->ik", [x(2, 3), y(3, 4)]],
        ["ij,jk", [x(2, 3), y(3, 4)]],
        ["ij->ji", [x(2, 3)]],
        ["ij->", [x(2, 3)]],
        ["ii->i", [x(3, 3)]],
        ["ii", [x(3, 3)]],
        ["bij,bjk->bik", [x(2, 2, 3), y(2, 3, 2)]],
        ["...ij,...jk->...ik", [x(2, 2, 3), y(2, 3, 2)]],
        ["i,j->ij", [x(2), y(3)]],
        ["i,i->", [x(3), y(3)]],
        ["ij,ij->ij", [x(2, 3), y(2, 3)]],
        ["bhid,bhjd->bhij", [x(1, 2, 3, 2), y(1, 2, 4, 2)]],
        ["ij,jk,kl->il", [x(2, 3), y(3, 2), x(2, 2)]],
        ["... -> ...", [x(2, 3)]],
        ["i...->...", [x(2, 3)]],
        ["b n d , d k -> b n k", [x(1, 2, 3), y(3, 2)]],
        ["Ab,bA->A", [x(2, 3), y(3, 2)]],
        ["iij->j", [x(2, 2, 3)]],
      ] as const
    ).map(([equation, inputs]) => [equation, inputs, { equation }] as const),
  ),
];

export const PRODUCT_ROWS: readonly Row[] = [...PRODUCTS];
