import fc from "fast-check";
import { describe, test } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { type Elem, isFloat, sizeOf, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { check, dims, indices, ints, patterned } from "./patterned.ts";
import { agrees, type Call } from "./run-kernel.ts";

const NUMBERS = [
  3,
  -1,
  0,
  -0,
  Number.NaN,
  2.5,
  Number.POSITIVE_INFINITY,
  -7,
  3,
  Number.NEGATIVE_INFINITY,
];

/** Many that are equal, and those that no order is obvious for. */
function mixed(elem: Elem, shape: readonly number[], seed: number): Tensor {
  const values = isFloat(elem) ? NUMBERS : [3, 0, 127, -1, -128, 200, 3, 5];
  const drawn = Array.from(
    { length: sizeOf(shape) },
    (_, i) => values[(i * 7 + seed) % values.length] ?? 0,
  );
  return fromNumbers(elem, shape, drawn);
}

describe("selection and creation in machine code", () => {
  const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
  onQemu("gives the same bits on QEMU", () => {
    agrees({ kernel: "TopK", operands: [mixed("f32", [3, 20], 0), ints(7)] }, 0, true);
  });

  test("the largest and the smallest", () => {
    const elems: readonly Elem[] = ["f32", "f16", "i64", "ui64", "i32", "ui32", "i8", "ui8"];
    check(
      fc
        .tuple(
          fc.constantFrom(...elems),
          dims(3, 6),
          fc.integer({ min: -3, max: 2 }),
          fc.nat(1),
          fc.nat(9),
        )
        .map(
          ([e, shape, axis, largest, seed]): Call => ({
            kernel: "TopK",
            attrs: { axis, largest },
            operands: [mixed(e, shape, seed), ints(1 + (seed % (shape.at(axis) ?? 1)))],
          }),
        ),
      25,
    );
  });

  test("vectors with a one", () => {
    for (const [i, e] of (["f32", "i64", "ui8"] as const).entries()) {
      for (const axis of [-1, 0, 1]) {
        const at = indices(i === 0 ? "i32" : "i64", [2, 4], [0, 3, -1, 9, -9, 4, 2 ** 31 - 1, 1]);
        const depth = tensor("i64", [], BigInt64Array.of(5n));
        agrees({ kernel: "OneHot", attrs: { axis }, operands: [at, depth, patterned(e, [2])] });
      }
    }
  });

  test("shapes, constants and diagonals", () => {
    const x = patterned("f32", [3, 4, 5]);
    agrees({ kernel: "Shape", operands: [x] });
    agrees({ kernel: "Shape", attrs: { start: -2, end: -1 }, operands: [x] });
    agrees({ kernel: "Size", operands: [x] });
    for (const e of ["f32", "i64", "f16", "i1"] as const) {
      agrees({
        kernel: "ConstantOfShape",
        attrs: { value: fromNumbers(e, [1], [1]) },
        operands: [ints(5, 7)],
      });
    }
    agrees({ kernel: "ConstantOfShape", operands: [ints(3)] });
    const wide = tensor("i64", [1], BigInt64Array.of(0x123456789abcdefn));
    agrees({ kernel: "ConstantOfShape", attrs: { value: wide }, operands: [ints(33)] });
    for (const k of [-2, 0, 3, 9]) {
      agrees({ kernel: "EyeLike", attrs: { k }, operands: [patterned("f32", [4, 6])] });
      agrees({ kernel: "EyeLike", attrs: { k, dtype: 7 }, operands: [patterned("f16", [4, 3])] });
    }
  });

  test("ranges", () => {
    const range = (e: Elem, ...numbers: number[]): Call => ({
      kernel: "Range",
      operands: numbers.map((n) => fromNumbers(e, [], [n])),
    });
    agrees(range("i64", 3, 40, 5));
    agrees(range("i64", 3, -40, -5));
    agrees(range("i32", 0, 17, 1));
    agrees(range("i32", 0, 0, 1));
    agrees(range("f32", 0, 10, 0.1));
    const far = [2 ** 40, 2 ** 40 + 5, 1];
    agrees(range("i64", ...far));
  });
});
