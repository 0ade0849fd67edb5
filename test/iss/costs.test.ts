import { expect, test } from "vitest";
import { type CoreTiming, costsOf } from "../../src/iss/costs.ts";
import { assemble, instruction as i, type Line, label } from "../../src/riscv/listing.ts";

const TIMING: CoreTiming = {
  load: 2,
  multiply: 4,
  divide: 36,
  float: 4,
  floatDivide: 12,
  takenBranch: 1,
  far: 9,
  vectorBytes: 16,
  vectorQueue: 0,
};

/** The cost of each instruction. */
function costs(...lines: readonly Line[]): readonly number[] {
  const { bytes } = assemble(lines, 0);
  const text = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return [...costsOf(text, TIMING)].filter((_, half) => half % 2 === 0);
}

test("an instruction waits for what it reads, not for what it writes", () => {
  expect(costs(i("lw", 5, 0, 6), i("addi", 5, 5, 1), i("lw", 5, 0, 6), i("addi", 7, 6, 1))).toEqual(
    [1, 2, 1, 1],
  );
});

test("each kind of result takes its time, in which others are issued", () => {
  expect(costs(i("div", 5, 6, 7), i("addi", 8, 0, 1), i("add", 5, 5, 8))).toEqual([1, 1, 35]);
  expect(costs(i("mul", 5, 6, 7), i("add", 5, 5, 5))).toEqual([1, 4]);
  expect(costs(i("fadd.s", 1, 2, 3, 0), i("fsw", 1, 0, 6))).toEqual([1, 4]);
  expect(costs(i("fsqrt.s", 1, 2, 0), i("fadd.s", 1, 1, 1, 0))).toEqual([1, 12]);
  // x0 is always there, and a float is no integer of the same number.
  expect(costs(i("lw", 0, 0, 6), i("addi", 5, 0, 1))).toEqual([1, 1]);
  expect(costs(i("flw", 5, 0, 6), i("addi", 5, 5, 1))).toEqual([1, 1]);
});

test("the beginning of a loop waits for what the end of it left behind", () => {
  const loop = [
    i("addi", 9, 0, 8),
    label("loop"),
    i("fadd.s", 1, 1, 2, 0),
    i("addi", 9, 9, -1),
    i("bne", 9, 0, "loop"),
    i("addi", 5, 0, 0),
  ];
  // Four cycles from sum to sum, of which the others take two.
  expect(costs(...loop)).toEqual([1, 2, 1, 1, 1]);
});

test("jumps are always taken", () => {
  expect(costs(i("jal", 0, 4), i("addi", 0, 0, 0))).toEqual([2, 1]);
});

test("what is repeated is a loop without a branch, and streams are read ahead", () => {
  const enabled = i("csrrsi", 0, 0x7c0, 1);
  const sum = i("fmadd.s", 3, 0, 1, 3, 7);
  const four = [3, 4, 5, 6].map((f) => i("fmadd.s", f, 0, 1, f, 7));
  expect(costs(enabled, i("frep.o", 5, 0), sum)).toEqual([1, 1, 4]);
  expect(costs(enabled, i("frep.o", 5, 3), ...four)).toEqual([1, 1, 1, 1, 1, 1]);
  // What is written to a stream is not what is read from it.
  expect(costs(enabled, i("fadd.s", 2, 3, 3, 7), i("fadd.s", 4, 2, 2, 7))).toEqual([1, 1, 1]);
  expect(costs(i("fadd.s", 2, 3, 3, 7), i("fadd.s", 4, 2, 2, 7))).toEqual([1, 4]);
  // The first element is loaded.
  expect(costs(i("scfgwi", 5, (24 << 5) | 0), enabled, i("fadd.s", 4, 0, 0, 7))).toEqual([1, 1, 1]);
  expect(costs(enabled, i("scfgwi", 5, 24 << 5), i("fadd.s", 4, 0, 0, 7))).toEqual([1, 1, 2]);
});
