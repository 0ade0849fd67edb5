import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileKernel } from "../../src/codegen/compile-kernel.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { check, dims, ELEMS, elem, ints, patterned } from "./patterned.ts";
import { agrees, type Call, ISAS, requestOf } from "./run-kernel.ts";

const shuffled = (rank: number) =>
  fc.shuffledSubarray(
    Array.from({ length: rank }, (_, i) => i),
    { minLength: rank },
  );

describe("movement in machine code", () => {
  const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
  onQemu("gives the same bits on QEMU", () => {
    const x = patterned("f32", [3, 70, 9]);
    agrees({ kernel: "Transpose", attrs: { perm: [2, 0, 1] }, operands: [x] }, 0, true);
    agrees({ kernel: "Reshape", operands: [x, ints(27, 70)] }, 0, true);
  });

  test("shapes", () => {
    for (const e of ELEMS) {
      for (const size of [0, 1, 3, 16, 17, 333]) {
        const operands = [patterned(e, [size, 3]), ints(3, size)];
        agrees({ kernel: "Reshape", attrs: { allowzero: 1 }, operands });
      }
    }
  });

  test("transpositions", () => {
    const calls = fc
      .integer({ min: 1, max: 4 })
      .chain((rank) => fc.tuple(elem, dims(rank, 9), shuffled(rank)))
      .map(([e, shape, perm]) => ({
        kernel: "Transpose",
        attrs: { perm },
        operands: [patterned(e, shape)],
      }));
    check(calls);
    for (const shape of [
      [66, 70],
      [4, 130, 64],
      [67, 131],
    ]) {
      for (const e of ELEMS) agrees({ kernel: "Transpose", operands: [patterned(e, shape)] });
    }
  });

  test("repetitions", () => {
    check(
      fc.tuple(elem, dims(3), fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }), dims(1)).map(
        ([e, shape, ones, more]): Call => ({
          kernel: "Expand",
          operands: [
            patterned(
              e,
              shape.map((d, i) => (ones[i] ? 1 : d)),
            ),
            ints(...more, ...shape),
          ],
        }),
      ),
    );
    check(
      fc.tuple(elem, dims(3), dims(3, 3)).map(
        ([e, shape, times]): Call => ({
          kernel: "Tile",
          operands: [patterned(e, shape), ints(...times)],
        }),
      ),
    );
  });

  test("parts side by side", () => {
    const cut = fc
      .tuple(elem, dims(3), fc.integer({ min: -3, max: 2 }), dims(3))
      .map(([e, shape, axis, sizes]) => ({ e, shape, axis, sizes, at: (axis + 3) % 3 }));
    check(
      cut.map(
        ({ e, shape, axis, sizes, at }): Call => ({
          kernel: "Concat",
          attrs: { axis },
          operands: sizes.map((size) => patterned(e, shape.with(at, size))),
        }),
      ),
    );
    check(
      cut.map(
        ({ e, shape, axis, sizes, at }): Call => ({
          kernel: "Split",
          attrs: { axis },
          operands: [
            patterned(
              e,
              shape.with(
                at,
                sizes.reduce((a, b) => a + b, 0),
              ),
            ),
            ints(...sizes),
          ],
        }),
      ),
    );
    const past = patterned("f32", [2, 3, 0, 4]);
    agrees({
      kernel: "nn.cache_append",
      attrs: { axis: 2 },
      operands: [past, patterned("f32", [2, 3, 1, 4])],
    });
  });

  test("depth and space", () => {
    for (const mode of ["DCR", "CRD"]) {
      const attrs = { blocksize: 2, mode };
      agrees({ kernel: "DepthToSpace", attrs, operands: [patterned("f32", [2, 8, 3, 4])] });
    }
    agrees({
      kernel: "SpaceToDepth",
      attrs: { blocksize: 2 },
      operands: [patterned("f16", [1, 3, 4, 6])],
    });
  });

  test("triangles", () => {
    for (const e of ELEMS) {
      for (const upper of [0, 1]) {
        for (const by of [-20, -2, 0, 1, 3, 20]) {
          const operands = [
            patterned(e, [2, 5, 11]),
            tensor("i64", [], BigInt64Array.of(BigInt(by))),
          ];
          agrees({ kernel: "Trilu", attrs: { upper }, operands, constants: [1] });
        }
      }
    }
  });

  test("slices", () => {
    const axis = fc.tuple(
      fc.integer({ min: -12, max: 12 }),
      fc.oneof(fc.integer({ min: -12, max: 12 }), fc.constantFrom(2 ** 40, -(2 ** 40))),
      fc.constantFrom(1, 1, 2, 3, -1, -2),
    );
    const slices = fc
      .tuple(elem, dims(3, 9), axis, axis, fc.boolean())
      .map(([e, shape, a, b, known]): Call => {
        const [starts, ends, steps] = [0, 1, 2].map((i) => ints(a[i] as number, b[i] as number));
        return {
          kernel: "Slice",
          operands: [
            patterned(e, shape),
            starts as Tensor,
            ends as Tensor,
            ints(0, -1),
            steps as Tensor,
          ],
          constants: known ? [1, 2, 3, 4] : [3, 4],
        };
      });
    check(slices, 25);
    const far = [ints(-(2 ** 40)), ints(2 ** 40), ints(1), ints(1)];
    agrees({ kernel: "Slice", operands: [patterned("f32", [2, 5]), ...far], constants: [3, 4] });
  });

  test("paddings", () => {
    const amount = fc.integer({ min: -1, max: 3 });
    const pads = fc
      .tuple(
        elem,
        dims(3, 6),
        amount,
        amount,
        amount,
        fc.constantFrom("constant", "edge", "reflect", "wrap"),
        fc.boolean(),
      )
      .map(
        ([e, shape, a, b, c, mode, valued]): Call => ({
          kernel: "Pad",
          attrs: { mode },
          operands: [
            patterned(
              e,
              shape.map((d) => d + 2),
            ),
            ints(a, 0, b, c, 0, 1),
            ...(valued ? [patterned(e, [])] : []),
          ],
          constants: [1],
        }),
      );
    check(pads, 20);
    const attrs = { pads: [0, 1, 2, 0], value: 1.5 };
    agrees({ kernel: "Pad", attrs, operands: [patterned("f32", [3, 3])] });
  });

  test("in code that does not grow with the tensor", () => {
    const x = patterned("f32", [12, 256, 64]);
    const calls: Call[] = [
      { kernel: "Transpose", attrs: { perm: [1, 0, 2] }, operands: [x] },
      { kernel: "Transpose", attrs: { perm: [2, 1, 0] }, operands: [x] },
      { kernel: "Split", attrs: { axis: 2, num_outputs: 3 }, operands: [x] },
      { kernel: "Pad", operands: [x, ints(0, 1, 1, 0, 1, 1)], constants: [1] },
    ];
    for (const call of calls) {
      for (const isa of ISAS) {
        const { lines } = compileKernel(requestOf(call, isa, 8), "f");
        expect(lines.length).toBeLessThan(1000);
      }
    }
  });
});
