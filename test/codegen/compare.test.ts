import fc from "fast-check";
import { describe, test } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import {
  type Elem,
  fromBytes,
  isFloat,
  sizeOf,
  type Tensor,
  tensor,
} from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { check, dims, patterned } from "./patterned.ts";
import { agrees, type Call } from "./run-kernel.ts";

const RELATIONS = ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"];
const LOGIC = ["And", "Or", "Xor"];
const ELEMS: readonly Elem[] = [
  "f32",
  "f16",
  "bf16",
  "i64",
  "ui64",
  "i32",
  "ui32",
  "i16",
  "i8",
  "ui8",
  "i1",
];

const SPECIAL = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  1e-40,
  65504,
  -1,
];

/** Few different values, so that many are equal; of floats those that are special. */
function few(elem: Elem, shape: readonly number[], seed: number): Tensor {
  const values = isFloat(elem) ? SPECIAL : [0, 1, 1, 2, 127, 128, 200, -1, -128];
  const drawn = Array.from({ length: sizeOf(shape) }, (_, i) => {
    const v = values[(i * 5 + seed) % values.length] ?? 0;
    return elem === "i1" ? Math.abs(v) % 2 : v;
  });
  return fromNumbers(elem, shape, drawn);
}

/** A shape that broadcasts to another. */
const narrowed = (shape: readonly number[], mask: number): number[] =>
  shape.map((d, i) => (mask & (1 << i) ? 1 : d)).slice(mask & 8 ? 1 : 0);

const masks = fc.integer({ min: 0, max: 15 });

describe("comparisons and choices in machine code", () => {
  const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
  onQemu("give the same bits on QEMU", () => {
    for (const e of ["f32", "f16", "i64"] as const) {
      agrees({ kernel: "LessOrEqual", operands: [few(e, [9, 9], 1), few(e, [9], 2)] }, 0, true);
    }
    const operands = [few("i1", [40], 0), patterned("f32", [3, 40]), patterned("f32", [1])];
    agrees({ kernel: "Where", operands }, 0, true);
  });

  test("relations of broadcast operands", () => {
    check(
      fc
        .tuple(fc.constantFrom(...RELATIONS), fc.constantFrom(...ELEMS), dims(3, 6), masks, masks)
        .map(
          ([kernel, e, shape, a, b]): Call => ({
            kernel,
            operands: [few(e, narrowed(shape, a), 0), few(e, narrowed(shape, b), 4)],
          }),
        ),
      30,
    );
    for (const kernel of RELATIONS) {
      for (const e of ELEMS) agrees({ kernel, operands: [few(e, [9, 9], 0), few(e, [9, 1], 1)] });
    }
  });

  test("logic", () => {
    for (const kernel of LOGIC) {
      agrees({ kernel, operands: [few("i1", [7, 9], 0), few("i1", [9], 1)] });
      agrees({ kernel, operands: [few("i1", [0, 9], 0), few("i1", [9], 1)] });
    }
    agrees({ kernel: "Not", operands: [few("i1", [33], 0)] });
  });

  test("what is no number, or infinite", () => {
    for (const e of ["f32", "f16", "bf16"] as const) {
      const operands = [few(e, [3, 11], 0)];
      agrees({ kernel: "IsNaN", operands });
      for (const flags of [0, 1, 2, 3]) {
        const attrs = { detect_positive: flags & 1, detect_negative: flags >> 1 };
        agrees({ kernel: "IsInf", attrs, operands });
      }
    }
  });

  test("choices between elements of any width", () => {
    check(
      fc
        .tuple(fc.constantFrom<Elem>("f32", "i64", "f16", "ui8"), dims(3, 6), masks, masks, masks)
        .map(
          ([e, shape, c, a, b]): Call => ({
            kernel: "Where",
            operands: [
              few("i1", narrowed(shape, c), 1),
              patterned(e, narrowed(shape, a)),
              few(e, narrowed(shape, b), 3),
            ],
          }),
        ),
      25,
    );
    const [x, y] = [patterned("f32", [4, 300]), few("f32", [1], 4)];
    agrees({ kernel: "Where", operands: [few("i1", [4, 300], 0), x, y] });
  });

  test("bits", () => {
    for (const e of ["i64", "ui32", "i16", "ui8"] as const) {
      const operands = [few(e, [3, 7], 0), few(e, [7], 2)];
      for (const kernel of ["BitwiseAnd", "BitwiseOr", "BitwiseXor"]) agrees({ kernel, operands });
      agrees({ kernel: "BitwiseNot", operands: operands.slice(0, 1) });
    }
    for (const e of ["ui32", "ui16", "ui8"] as const) {
      const places = fromNumbers(e, [9], [0, 1, 5, 7, 8, 15, 31, 32, 200]);
      for (const direction of ["LEFT", "RIGHT"]) {
        agrees({ kernel: "BitShift", attrs: { direction }, operands: [few(e, [2, 9], 3), places] });
      }
    }
    const wide = tensor("ui64", [3, 1], BigUint64Array.of(1n, 2n ** 63n + 5n, 2n ** 64n - 1n));
    const far = [0n, 1n, 31n, 32n, 33n, 63n, 64n, 200n, 2n ** 32n];
    const places = tensor("ui64", [9], BigUint64Array.from(far));
    for (const direction of ["LEFT", "RIGHT"]) {
      agrees({ kernel: "BitShift", attrs: { direction }, operands: [wide, places] });
    }
    const bytes = fromBytes("f32", [3], new Uint8Array(12).fill(7));
    agrees({ kernel: "BitCast", attrs: { to: 6 }, operands: [bytes] });
  });
});
