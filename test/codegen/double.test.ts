/** Doubles in software, bit for bit: against JavaScript's numbers, on our simulator and on QEMU. */

import { describe, expect, test } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { type Elem, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { agrees, type Call, run } from "./run-kernel.ts";

const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);

/** Numbers at which something happens: both zeros, the ends of the subnormal and of all numbers, ties, NaN. */
const EDGES = [
  ...[0, 1, 1.5, 2, 3, 0.1, 2 ** 52, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64, 1e300, 1e-300],
  ...[5e-324, 2 ** -1022, 2 ** -1022 - 5e-324, 2 ** -1023, 2 ** -537, 2 ** -538],
  ...[1 + 2 ** -52, 1 - 2 ** -53, Number.MAX_VALUE, Number.POSITIVE_INFINITY, Number.NaN],
  ...[0.5, 2.5, 0.49999999999999994, 4503599627370495.5, 1 + 2 ** -24, 1 + 3 * 2 ** -24],
  ...[65504, 65519.99, 65520, 2 ** -24, 2 ** -25, 3 * 2 ** -25, 2 ** 31 - 0.5, 2 ** 31, 2 ** 32],
  ...[2 ** 128, 2 ** 128 - 2 ** 103, 2 ** -149, 2 ** -150, 2 ** -126 - 2 ** -150, 1e-46],
].flatMap((x) => [x, -x]);

/** Random bits: all exponents; and random digits of about the same size, whose differences cancel. */
function random(count: number, seed: number): number[] {
  let state = seed;
  const word = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state ^ (state >>> 15)) >>> 0;
  };
  const bits = new Uint32Array(2);
  const value = new Float64Array(bits.buffer);
  return Array.from({ length: count }, (_, i) => {
    bits[0] = word();
    bits[1] = i % 2 === 0 ? word() : (word() & 0x803fffff) | 0x3fe00000;
    return value[0] ?? 0;
  });
}

const doubles = (shape: readonly number[], values: readonly number[]): Tensor =>
  tensor("f64", shape, Float64Array.from(values));

const column = (values: readonly number[]) => doubles([values.length, 1], values);

describe("arithmetic in double precision", () => {
  const right: Readonly<Record<string, (a: number, b: number) => number>> = {
    Add: (a, b) => a + b,
    Sub: (a, b) => a - b,
    Mul: (a, b) => a * b,
    Div: (a, b) => a / b,
    Max: Math.max,
    Min: Math.min,
  };
  test.each(Object.entries(right))("%s of all pairs", (kernel, f) => {
    const [xs, ys] = [
      [...EDGES, ...random(60, 1)],
      [...EDGES, ...random(60, 2)],
    ];
    const call: Call = { kernel, operands: [column(xs), doubles([ys.length], ys)] };
    const [z] = run(call, "rv32imaf", 1);
    const wanted = xs.flatMap((a) => ys.map((b) => f(a, b)));
    expect([...((z?.data ?? []) as Float64Array)]).toEqual(wanted);
  });
  onQemu("is the same on QEMU", () => {
    for (const kernel of Object.keys(right)) {
      const operands = [
        column(random(20, 3)),
        doubles([40], [...random(36, 4), ...EDGES.slice(8, 12)]),
      ];
      agrees({ kernel, operands }, 0, true);
    }
  });
  const unary: Readonly<Record<string, (x: number) => number>> = {
    Sqrt: Math.sqrt,
    Floor: Math.floor,
    Ceil: Math.ceil,
    Neg: (x) => -x,
    Abs: Math.abs,
    Sign: Math.sign,
    Reciprocal: (x) => 1 / x,
    Relu: (x) => Math.max(x, 0),
  };
  const wide = [...EDGES, ...random(800, 5), ...random(400, 6).map((x) => (x % 1) * 2 ** 40)];
  test.each(Object.entries(unary))("%s", (kernel, f) => {
    const [y] = run({ kernel, operands: [doubles([wide.length], wide)] }, "rv32imaf", 1);
    expect([...((y?.data ?? []) as Float64Array)]).toEqual(wide.map(f));
  });
  onQemu("is rounded the same on QEMU", () => {
    const x = doubles([EDGES.length], EDGES);
    for (const kernel of ["Sqrt", "Round", "Floor", "Reciprocal"]) {
      agrees({ kernel, operands: [x] }, 0, true);
    }
    agrees({ kernel: "Round", operands: [doubles([wide.length], wide)] });
  });
});

describe("doubles and other types", () => {
  const TYPES = ["f32", "f16", "bf16", "i64", "ui64", "i32", "ui32", "i8", "ui16", "i1"] as const;
  const drawn = [...random(300, 7), ...random(100, 8).map((x) => x * 2 ** 20)];
  // Which bits a NaN gets as a half is left open.
  const values = [...EDGES, ...drawn.filter((x) => !Number.isNaN(x))];
  onQemu("from doubles", () => {
    const x = doubles([values.length], values);
    for (const elem of TYPES) agrees({ kernel: "CastLike", operands: [x, sample(elem)] }, 0, true);
  });
  onQemu("to doubles", () => {
    const small = [...EDGES, ...random(100, 9)];
    for (const elem of TYPES) {
      const isReal = elem === "f32" || elem === "f16" || elem === "bf16";
      const given = isReal ? small : small.map((x) => (Math.abs(x) < 2 ** 53 ? Math.trunc(x) : 7));
      const x = fromNumbers(
        elem,
        [given.length],
        elem === "i1" ? given.map((v) => +(v > 1)) : given,
      );
      agrees({ kernel: "CastLike", operands: [x, sample("f64")] }, 0, true);
    }
    const far = [
      2n ** 63n - 1n,
      2n ** 63n - 513n,
      2n ** 53n + 1n,
      2n ** 54n + 6n,
      0n,
      -1n,
      -(2n ** 63n),
    ];
    const i64 = tensor("i64", [far.length], BigInt64Array.from(far));
    const ui64 = tensor("ui64", [far.length], BigUint64Array.from(far));
    for (const x of [i64, ui64]) agrees({ kernel: "CastLike", operands: [x, sample("f64")] });
  });
  onQemu("are compared, ranked and added up", () => {
    const [a, b] = [column(EDGES.slice(0, 24)), doubles([EDGES.length], EDGES)];
    for (const kernel of ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"]) {
      agrees({ kernel, operands: [a, b] });
    }
    for (const kernel of ["IsNaN", "IsInf"]) agrees({ kernel, operands: [b] });
    const x = doubles([4, 15], random(60, 10));
    const axes = fromNumbers("i64", [1], [1]);
    for (const kernel of ["Sum", "Mean", "Prod", "Max", "Min", "L1", "L2", "SumSquare"]) {
      const call = { kernel: `Reduce${kernel}`, operands: [x, axes], constants: [1] };
      agrees(call, 0, kernel === "L2");
    }
    for (const kernel of ["ArgMax", "ArgMin"])
      agrees({ kernel, attrs: { axis: 1 }, operands: [x] });
    agrees({ kernel: "TopK", operands: [b, fromNumbers("i64", [1], [40])], constants: [1] });
    for (const kernel of ["CumSum", "CumProd"]) {
      agrees({ kernel, operands: [x, fromNumbers("i64", [], [1])], constants: [1] });
    }
    const [start, end, by] = [0.1, 2.15, 0.1].map((v) => doubles([], [v]));
    agrees({ kernel: "Range", operands: [start ?? null, end ?? null, by ?? null] });
  });
});

const sample = (elem: Elem): Tensor => fromNumbers(elem, [1], [0]);
