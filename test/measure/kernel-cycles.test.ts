import { describe, expect, test } from "vitest";
import { type MeasuredCall, measurerOf } from "../../src/measure/kernel-cycles.ts";
import { loadTarget } from "../../src/target/load.ts";
import type { Target } from "../../src/target/schema.ts";
import { tensor } from "../../src/tensor/tensor.ts";

const target = loadTarget("ahwa-lora");

const f32 = (...shape: number[]) => ({ elem: "f32", shape }) as const;

const add = (...shape: number[]): MeasuredCall => ({
  kernel: "Add",
  attrs: {},
  operands: [f32(...shape), f32(...shape)],
  results: [f32(...shape)],
});

const withCores = (value: number): Target => ({
  ...target,
  cluster: { ...target.cluster, cores: { ...target.cluster.cores, value } },
});

describe("cycles of kernels", () => {
  test("grow with the elements, not below what loads and stores of all cores take", () => {
    const measure = measurerOf(target);
    const [small = 0, large = 0] = [measure(add(64, 8)), measure(add(64, 64))];
    expect(large).toBeGreaterThan(2 * small);
    expect(large).toBeGreaterThanOrEqual((3 * 64 * 64) / target.cluster.cores.value);
  });

  test("are fewer with more cores, and the same each time", () => {
    const call = add(64, 64);
    const [one = 0, eight = 0] = [1, 8].map((cores) => measurerOf(withCores(cores))(call) ?? 0);
    expect(one).toBeGreaterThan(5 * eight);
    expect(measurerOf(withCores(8))(call)).toBe(eight);
  });

  test("are the same whether values come from the run or are constants, where only the shape counts", () => {
    const constant = tensor("f32", [64], new Float32Array(64).fill(2));
    const call = add(64);
    const measure = measurerOf(target);
    const held = { ...call, operands: [f32(64), { ...f32(64), constant }] };
    expect(measure(held)).toBe(measure(call));
  });

  test("of a kernel without machine code are not known", () => {
    expect(measurerOf(target)({ ...add(4), kernel: "no.such.kernel" })).toBeNull();
  });

  test("of what takes too long are not known either", () => {
    const wide = { kernel: "MatMul", attrs: {}, operands: [f32(4096, 4096), f32(4096, 8192)] };
    expect(measurerOf(target)({ ...wide, results: [f32(4096, 8192)] })).toBeNull();
  });
});
