import { describe, expect, test } from "vitest";
import { type MeasuredCall, measurerOf } from "../../src/measure/kernel-cycles.ts";
import { loadTarget } from "../../src/target/load.ts";
import { tensor } from "../../src/tensor/tensor.ts";

const target = loadTarget("ahwa-lora");

const f32 = (...shape: number[]) => ({ elem: "f32", shape }) as const;

const add = (...shape: number[]): MeasuredCall => ({
  kernel: "Add",
  attrs: {},
  operands: [f32(...shape), f32(...shape)],
  results: [f32(...shape)],
});

describe("cycles of kernels", () => {
  test("are at least what loads and stores of all cores take, and the same each time", () => {
    const measure = measurerOf(target);
    const cycles = measure(add(64, 64)) ?? 0;
    expect(cycles).toBeGreaterThanOrEqual((3 * 64 * 64) / target.cluster.cores.value);
    expect(measure(add(64, 64))).toBe(cycles);
    expect(measurerOf(target)(add(64, 64))).toBe(cycles);
  });

  test("do not depend on whether an operand is constant, where only its shape counts", () => {
    const constant = tensor("f32", [64], new Float32Array(64).fill(2));
    const call = add(64);
    const measure = measurerOf(target);
    const held = { ...call, operands: [f32(64), { ...f32(64), constant }] };
    expect(measure(held)).toBe(measure(call));
  });

  test("take the values of constants that code is made for", () => {
    const shape = tensor("i64", [2], BigInt64Array.of(8n, -1n));
    const operands = [f32(4, 16), { elem: "i64", shape: [2], constant: shape } as const];
    const call = { kernel: "Reshape", attrs: {}, operands, results: [f32(8, 8)] };
    expect(measurerOf(target)(call)).toBeGreaterThan(0);
  });

  test("of a kernel without machine code are not known", () => {
    expect(measurerOf(target)({ ...add(4), kernel: "no.such.kernel" })).toBeNull();
  });

  test("of what takes too long are not known either", () => {
    const wide = { kernel: "MatMul", attrs: {}, operands: [f32(64, 4096), f32(4096, 4096)] };
    expect(measurerOf(target)({ ...wide, results: [f32(64, 4096)] })).toBeNull();
  });
});
