import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Elem, sizeOf, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { check, dims, elem, indices, ints, patterned } from "./patterned.ts";
import { agrees, type Call, run } from "./run-kernel.ts";

/** Random positions on axes of these sizes, one for each element: negative ones as well. */
const places = (shape: readonly number[], sizes: readonly number[], seed: number): Tensor => {
  const values = Array.from({ length: sizeOf(shape) }, (_, i) => {
    const size = sizes[i % sizes.length] ?? 1;
    return ((i * 7919 + seed * 31) % (2 * size)) - size;
  });
  return indices(seed % 2 === 0 ? "i64" : "i32", shape, values);
};

const seed = fc.nat(1000);

describe("gathering and scattering in machine code", () => {
  const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
  onQemu("gives the same bits on QEMU", () => {
    const x = patterned("f32", [5, 33]);
    agrees({ kernel: "Gather", operands: [x, ints(4, -5, 0)] }, 0, true);
    const updates = patterned("f32", [3, 33]);
    const operands = [x, indices("i64", [3, 1], [2, 2, -1]), updates];
    agrees({ kernel: "ScatterND", attrs: { reduction: "add" }, operands }, 0, true);
  });

  test("whole rows", () => {
    check(
      fc.tuple(elem, dims(3, 6), dims(2, 4), fc.integer({ min: -3, max: 2 }), seed).map(
        ([e, shape, at, axis, s]): Call => ({
          kernel: "Gather",
          attrs: { axis },
          operands: [patterned(e, shape), places(at, [shape.at(axis) ?? 1], s)],
        }),
      ),
      15,
    );
    const table = patterned("f32", [50, 96]);
    for (const shape of [
      [1, 1],
      [2, 8],
      [0, 3],
    ]) {
      agrees({ kernel: "nn.embedding", operands: [table, places(shape, [50], shape[1] ?? 0)] });
    }
  });

  test("elements", () => {
    check(
      fc
        .tuple(elem, dims(3, 6), dims(3, 6), fc.integer({ min: -3, max: 2 }), seed)
        .map(([e, a, b, axis, s]): Call => {
          const at = (axis + 3) % 3;
          const shape = a.map((d, i) => (i === at ? d : Math.max(d, b[i] ?? 1)));
          return {
            kernel: "GatherElements",
            attrs: { axis },
            operands: [patterned(e, shape), places(b, [shape[at] ?? 1], s)],
          };
        }),
      15,
    );
  });

  test("tuples", () => {
    check(
      fc
        .tuple(
          elem,
          dims(4, 4),
          fc.integer({ min: 0, max: 2 }),
          fc.integer({ min: 1, max: 2 }),
          seed,
        )
        .map(
          ([e, shape, batch, length, s]): Call => ({
            kernel: "GatherND",
            attrs: { batch_dims: batch },
            operands: [
              patterned(e, shape),
              places([...shape.slice(0, batch), 3, length], shape.slice(batch, batch + length), s),
            ],
          }),
        ),
      15,
    );
  });

  test("scattered elements, replaced and combined", () => {
    check(scattered(["none", "add", "mul", "max", "min"], "ScatterElements"), 25);
    check(scattered(["none", "add", "mul", "max", "min"], "ScatterND"), 25);
  });

  test("NaN and signed zeros", () => {
    const x = tensor("f32", [6], Float32Array.of(Number.NaN, 0, -0, 1, 2, 3));
    const updates = tensor("f32", [6], Float32Array.of(1, -0, 0, Number.NaN, 5, 1));
    for (const reduction of ["max", "min", "add", "none"]) {
      const operands = [x, indices("i64", [6, 1], [0, 1, 2, 3, 4, 5]), updates];
      agrees({ kernel: "ScatterND", attrs: { reduction }, operands });
    }
  });

  test("an index outside of its axis traps", () => {
    const x = patterned("f32", [4, 2]);
    for (const bad of [ints(4), ints(-5), ints(2 ** 32), ints(-(2 ** 33) + 1)]) {
      const call = {
        kernel: "Gather",
        operands: [x, bad],
        results: [{ elem: "f32", shape: [1, 2] }],
      } as const;
      expect(() => run(call, "rv32imaf", 1)).toThrow();
    }
  });
});

/** Halves are only replaced. */
function scattered(reductions: readonly string[], kernel: string): fc.Arbitrary<Call> {
  const elems: readonly Elem[] = ["f32", "i64", "f16", "ui8", "i32", "i16", "i8", "i1"];
  return fc
    .tuple(
      fc.constantFrom(...elems),
      dims(3, 5),
      dims(3, 5),
      fc.nat(2),
      fc.constantFrom(...reductions),
      seed,
    )
    .map(([e, a, b, axis, wanted, s]): Call => {
      const reduction = e === "f16" ? "none" : wanted;
      const shape = a.map((d, i) => (i === axis ? d : Math.max(d, b[i] ?? 1)));
      const length = axis + 1;
      const [at, updates] =
        kernel === "ScatterND"
          ? [
              places([b[0] ?? 1, length], shape.slice(0, length), s),
              [b[0] ?? 1, ...shape.slice(length)],
            ]
          : [places(b, [shape[axis] ?? 1], s), b];
      const x = patterned(e, shape);
      return { kernel, attrs: { axis, reduction }, operands: [x, at, patterned(e, updates)] };
    });
}
