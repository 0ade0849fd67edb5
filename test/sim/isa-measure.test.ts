import { describe, expect, test } from "vitest";
import { compileKernel } from "../../src/codegen/compile-kernel.ts";
import { isaOf } from "../../src/codegen/isa.ts";
import { measureKernel } from "../../src/sim/isa/measure.ts";
import { loadTarget } from "../../src/target/load.ts";

const target = loadTarget("ahwa-lora");

function cycles(kernel: string, shape: readonly number[], cores = 8, attrs = {}): number {
  const block = { elem: "f32" as const, shape };
  const request = {
    kernel,
    attrs,
    operands: kernel === "Add" ? [block, block] : [block],
    results: [block],
    isa: isaOf("rv32imaf"),
    cores,
  };
  const compiled = { ...compileKernel(request, "kernel"), ...request };
  return measureKernel(compiled, target, 1e7) ?? expect.fail("it takes too long");
}

describe("cycles of a kernel on one cluster", () => {
  test("grow with its elements, by what a core issues for each", () => {
    const [small, large] = [cycles("Add", [1024]), cycles("Add", [9216])];
    const each = (large - small) / (8192 / 8);
    // Two loads, a sum and a store, with what the loop itself takes.
    expect(each).toBeGreaterThanOrEqual(4);
    expect(each).toBeLessThan(9);
  });

  test("shrink with cores", () => {
    const [one, eight] = [cycles("Add", [4096], 1), cycles("Add", [4096], 8)];
    expect(one / eight).toBeGreaterThan(6);
    expect(one / eight).toBeLessThanOrEqual(8);
  });

  test("are more where operands lie in main memory", () => {
    // 3 x 64 KiB are more than the TCDM.
    const near = cycles("Add", [8192]) / 8192;
    expect(cycles("Add", [16384]) / 16384).toBeGreaterThan(1.5 * near);
  });

  test("are the same each time", () => {
    expect(cycles("Softmax", [64, 64], 8, { axis: -1 })).toBe(
      cycles("Softmax", [64, 64], 8, { axis: -1 }),
    );
  });
});
