/** What instructions take on a core with a vector unit beside it: cycles counted by hand. */

import { expect, test } from "vitest";
import { Cluster } from "../../src/iss/cluster.ts";
import { clusterText } from "../../src/iss/cluster-text.ts";
import type { CoreTiming } from "../../src/iss/costs.ts";
import { MAY } from "../../src/riscv/elf.ts";
import { assemble, instruction as i, type Line, loadConstant } from "../../src/riscv/listing.ts";

const TEXT = 0x10000;
const TCDM = { base: 0x20000, bytes: 4096 };
const MAIN = { base: 0x80000000, bytes: 4096 };
const TIMING: CoreTiming = {
  load: 2,
  multiply: 4,
  divide: 36,
  float: 4,
  floatDivide: 12,
  takenBranch: 0,
  far: 9,
  vectorBytes: 16,
  vectorQueue: 5,
};
/** Elements of 32 bits in groups of four registers, of which sixteen fit. */
const [M1, M4] = [0xd0, 0xd2];
const NEAR = 10;

/** Cycles of the lines, behind a configuration that fills groups, until the unit is idle; waiting for that is one of them. */
function cycles(lines: readonly Line[], more: Partial<CoreTiming> = {}, vtype = M4): number {
  const timing = { ...TIMING, ...more };
  const before = [...loadConstant(NEAR, TCDM.base), i("vsetvli", 5, 0, vtype)];
  const after = [i("fence", 15, 15)];
  const run = (body: readonly Line[]): number => {
    const all = [...before, ...body, ...after, ...loadConstant(17, 93), i("ecall")];
    const { bytes, symbols } = assemble(all, TEXT);
    const segment = { address: TEXT, bytes, size: bytes.length, may: MAY.read | MAY.execute };
    const text = clusterText({ entry: TEXT, segments: [segment], symbols }, timing);
    const shape = { cores: 1, tcdm: TCDM, main: MAIN, timing, checked: false };
    const cluster = new Cluster(text, shape);
    expect(cluster.run(0, 1e6).kind).toBe("exit");
    return cluster.cycle(0);
  };
  return run(lines) - run([]) + 1;
}

const multiply = (to: number, b = 8): Line => i("vfmacc.vf", to, 1, b, 1);
const load = (to: number): Line => i("vle32.v", to, NEAR, 1);

test("a vector instruction is issued in a cycle; its unit takes one for each register", () => {
  // Issued in cycle 1, which ends when its unit begins; four registers, the last is there three cycles later.
  expect(cycles([multiply(4)])).toBe(1 + 4 + 3);
  expect(cycles([multiply(4), multiply(12)])).toBe(1 + 8 + 3);
  expect(cycles([multiply(4)], { vectorQueue: 0 })).toBe(4 + 1);
  expect(cycles([multiply(4)], { vectorBytes: 8 })).toBe(1 + 8 + 3);
  expect(cycles([i("vfdiv.vv", 4, 8, 12, 1)])).toBe(1 + 4 * 12 + 11);
});

test("scalar instructions and other units go on meanwhile", () => {
  const scalars = Array.from({ length: 6 }, () => i("addi", 6, 6, 1));
  expect(cycles([multiply(4), ...scalars])).toBe(cycles([multiply(4)]));
  expect(cycles([multiply(4), load(12), i("vslide1up.vx", 20, 16, 6, 1)])).toBe(1 + 4 + 3);
});

test("what depends on a result begins behind its first register", () => {
  expect(cycles([load(8), multiply(4)])).toBe(1 + 2 + 4 + 3);
  expect(cycles([multiply(4), multiply(4)], {}, M1)).toBe(1 + 4 + 1 + 3);
  // Elements that lie apart come one by one: the last register is there after 16 cycles.
  expect(cycles([i("vlse32.v", 8, NEAR, 6, 1), multiply(4)])).toBe(1 + 16 + 1 + 1 + 3);
});

test("the core waits where the unit holds all that it can, and for numbers", () => {
  const many = [4, 12, 16, 20].map((to) => multiply(to));
  const busy = (vectorQueue: number): number =>
    cycles([...many, i("addi", 6, 6, 1), i("addi", 6, 6, 1)], { vectorQueue });
  expect(busy(5)).toBe(1 + 16 + 3);
  // Each begins when the one before it is done.
  expect(busy(1)).toBe(4 * (1 + 4 + 3) - 3);
  const number = cycles([multiply(4), i("vfmv.f.s", 2, 4), i("fadd.s", 2, 2, 2, 0)]);
  expect(number).toBe(1 + 4 + 1 + 3 + 1 + 1);
  expect(cycles([multiply(4), i("vsetvli", 5, 6, M4), i("addi", 5, 5, 1)])).toBe(1 + 4 + 3);
});

test("scalar accesses wait for vectors that are stored, stores for those that are loaded", () => {
  const store = i("vse32.v", 4, NEAR, 1);
  const scalar = [i("lw", 6, 0, NEAR), i("sw", 6, 0, NEAR)] as const;
  const after = (vector: Line, access: Line): number => cycles([vector, access]);
  expect(after(store, scalar[0])).toBe(1 + 4 + 1 + 1);
  expect(after(store, scalar[1])).toBe(1 + 4 + 1 + 1);
  expect(after(load(4), scalar[0])).toBe(1 + 4 + 1);
  expect(after(load(4), scalar[1])).toBe(1 + 4 + 1 + 1);
});

test("a vector in main memory takes longer", () => {
  const far = [...loadConstant(11, MAIN.base), i("vle32.v", 4, 11, 1)];
  expect(cycles(far)).toBe(1 + 1 + 4 + 9 + 1);
});
