import { describe, test } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { bytesPer, type Elem, isFloat, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees } from "./run-kernel.ts";

const ELEMS = "f32 f16 bf16 i64 ui64 i32 ui32 i16 ui16 i8 ui8 i1 i4 ui4".split(" ") as Elem[];

const POWERS = [-25, -24, -14, 0, 1, 7, 8, 11, 15, 16, 24, 31, 32, 33, 53, 62, 63, 64, 100, 127];
const FLOATS = [
  ...[0, 0.25, 0.5, 1 / 3, 2.9, 65504, 65519, 65520, 65535, 3.4e38, 6.1e-5, 3e-8, 1e-40],
  ...[Number.POSITIVE_INFINITY, 16777217, 2147483520, 4294967040],
  ...POWERS.flatMap((p) => [
    2 ** p,
    2 ** p * 1.5,
    2 ** p * (1 + 2 ** -11),
    2 ** p * (1 - 2 ** -24),
  ]),
].flatMap((v) => [v, -v]);

/** Where rounding to a double, and then to a float, goes wrong if it is done at once; and what is next to powers of 2. */
const BIGS = [
  ...Array.from({ length: 63 }, (_, p) => 1n << BigInt(p)),
  (1n << 63n) - 1n,
  0x7fffff7fffffffffn,
  0x7fffffbffffffdffn,
  0x4000004000000001n,
  0x40000040000001ffn,
  0x0123456789abcdefn,
  0x0020000000000001n,
  0x0020000100000003n,
].flatMap((v) => [v, v + 1n, v - 1n, -v, 1n - v]);

function values(elem: Elem): Tensor {
  if (elem === "i64") return tensor(elem, [BIGS.length], BigInt64Array.from(BIGS));
  if (elem === "ui64") return tensor(elem, [BIGS.length], BigUint64Array.from(BIGS));
  if (isFloat(elem)) {
    const all = [...FLOATS, Number.NaN];
    return fromNumbers(elem, [all.length], all);
  }
  const bits = elem === "i1" ? 1 : elem.endsWith("i4") ? 4 : bytesPer(elem) * 8;
  const numbers = Array.from({ length: 2 * bits + 3 }, (_, i) => 2 ** (i >> 1) - (i & 1)).flatMap(
    (v) => [v, -v],
  );
  const wrapped = elem === "i1" ? numbers.map((v) => Math.abs(v) & 1) : numbers;
  return fromNumbers(elem, [wrapped.length], wrapped);
}

describe("conversions in machine code", () => {
  const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);
  onQemu("give the same bits on QEMU", () => {
    for (const to of ["f16", "i64", "i8"]) {
      agrees({ kernel: "Cast", attrs: { to }, operands: [values("f32")] }, 0, true);
    }
  });

  test.each(ELEMS)("of %s into all others", (from) => {
    for (const to of ELEMS) agrees({ kernel: "Cast", attrs: { to }, operands: [values(from)] });
  });
});
