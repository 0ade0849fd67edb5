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

describe("of the peak of a cluster, products take with streams", () => {
  const block = (...shape: number[]) => ({ elem: "f32" as const, shape });
  const [rank, tokens] = [8, 32];
  const lora = (inputs: number, outputs: number) => ({
    kernel: "nn.lora",
    attrs: { scale: 4 },
    operands: [
      block(tokens, inputs),
      block(tokens, outputs),
      block(rank, inputs),
      block(outputs, rank),
    ],
    results: [block(tokens, outputs)],
    macs: rank * tokens * (inputs + outputs),
  });
  const matmul = {
    kernel: "MatMul",
    attrs: {},
    operands: [block(64, 128), block(128, 96)],
    results: [block(64, 96)],
    macs: 64 * 128 * 96,
  };

  test.each([
    [0.85, matmul],
    [0.6, lora(128, 128)],
    [0.6, lora(512, 128)],
  ])("at least %d", (least, { macs, ...rest }) => {
    const cores = 8;
    const request = { ...rest, isa: isaOf(target.cluster.isa), cores };
    const compiled = { ...compileKernel(request, "kernel"), ...request };
    const taken = measureKernel(compiled, target, 1e7) ?? expect.fail("it takes too long");
    expect(macs / cores / taken).toBeGreaterThan(least);
  });
});
