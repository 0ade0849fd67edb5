import { describe, expect, test } from "vitest";
import { KernelGap } from "../../src/codegen/kernel.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { agrees } from "./run-kernel.ts";

const waves = (shape: readonly number[], seed = 1): Tensor =>
  fromNumbers(
    "f32",
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 1.3 + seed)),
  );

/** How far sums in single precision may be from those of doubles, by the largest result. */
const WITHIN = 2e-6;

describe("Einsum in machine code", () => {
  test.each([
    ["ij,jk->ik", [3, 5], [5, 4]],
    ["bij,bkj->bik", [2, 3, 5], [2, 4, 5]],
    ["bhid,bhjd->bhij", [1, 2, 3, 4], [1, 2, 5, 4]],
    ["bqhd,bkhd->bhqk", [2, 3, 2, 4], [2, 5, 2, 4]],
    ["bhqk,bkhd->bqhd", [2, 2, 3, 5], [2, 5, 2, 4]],
    ["iabj,bjc->cai", [3, 2, 4, 5], [4, 5, 6]],
    ["...ij,...jk->...ik", [2, 1, 3, 4], [3, 4, 2]],
    ["i,j->ij", [3], [7]],
    ["ii,i->i", [4, 4], [4]],
    ["ab,ab", [3, 4], [3, 4]],
    ["xjab,xjc->bxac", [2, 3, 4, 5], [2, 3, 6]],
  ])("%s", (equation, a, b) => {
    agrees({ kernel: "Einsum", attrs: { equation }, operands: [waves(a), waves(b, 3)] }, WITHIN);
  });

  test("of one operand", () => {
    agrees({ kernel: "Einsum", attrs: { equation: "abc->cab" }, operands: [waves([2, 3, 4])] });
    agrees({ kernel: "Einsum", attrs: { equation: "bii->ib" }, operands: [waves([2, 3, 3])] });
  });

  test("sums of a single operand's axis have no machine code", () => {
    const call = { kernel: "Einsum", attrs: { equation: "ab->a" }, operands: [waves([2, 3])] };
    expect(() => agrees(call)).toThrow(KernelGap);
  });
});
