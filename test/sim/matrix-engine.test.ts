/** The matrix engine: its registers, what it computes, how long it takes, and what programs may not ask of it. */

import { describe, expect, test } from "vitest";
import {
  ENGINE_BASE,
  ENGINE_CONTROL,
  ENGINE_EVENT,
  ENGINE_JOB,
} from "../../src/artifact/matrix-engine.ts";
import { TCDM_BASE } from "../../src/artifact/programs.ts";
import { instruction as i, type Line, label, loadConstant } from "../../src/riscv/listing.ts";
import { jobCycles, MatrixEngine } from "../../src/sim/isa/matrix-engine.ts";
import { IsaSimulator } from "../../src/sim/isa/simulator.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { loadTarget } from "../../src/target/load.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { STAGES, type Stage, stagesArtifact } from "./isa-programs.ts";

const { matrixEngine } = loadTarget("ahwa-lora").cluster;
if (!matrixEngine) throw new Error("the ahwa-lora target has a matrix engine");
const shape = matrixEngine;

const BYTES = 0x2000;
const [X, W, Z] = [TCDM_BASE, TCDM_BASE + 0x800, TCDM_BASE + 0x1000];
const [PRODUCT, ACCUMULATE] = [0x80, 0x480];

function started() {
  const bytes = new Uint8Array(BYTES);
  const at = (address: number, count: number) =>
    bytes.subarray(address - TCDM_BASE, address - TCDM_BASE + count);
  const engine = new MatrixEngine(shape, { read: at, room: at }, { base: TCDM_BASE, bytes: BYTES });
  const put = (address: number, values: readonly number[]): void => {
    const { data } = fromNumbers("f16", [values.length], values);
    at(address, values.length * 2).set(new Uint8Array(data.buffer));
  };
  const take = (address: number, count: number): number[] => {
    const data = new Uint16Array(Uint8Array.from(at(address, count * 2)).buffer);
    return toNumbers({ elem: "f16", shape: [count], data });
  };
  return { engine, put, take };
}

type Sizes = Readonly<Record<"m" | "n" | "k", number>>;

function set(engine: MatrixEngine, { m, n, k }: Sizes, arithmetic: number, now = 0): number {
  const words = [X, W, Z, (k << 16) | m, n, arithmetic];
  for (const [place, word] of words.entries()) engine.write(ENGINE_JOB.x + 4 * place, word, now);
  return engine.write(ENGINE_CONTROL.trigger, 0, now) ?? expect.fail("a trigger starts a job");
}

describe("registers", () => {
  test("lie where RedMulE has them", () => {
    const { x, w, z, mk, n, arithmetic } = ENGINE_JOB;
    expect([x, w, z, mk, n, arithmetic]).toEqual([0x40, 0x44, 0x48, 0x4c, 0x50, 0x54]);
    expect(Object.values(ENGINE_CONTROL)).toEqual([0, 4, 8, 12, 16, 20]);
  });

  test("take two jobs, which are done one after the other", () => {
    const { engine, put, take } = started();
    put(X, [1, 2, 3, 4, 5, 6]);
    put(W, [1, 0, 0, 1, 1, 1]);
    put(Z, [0.5, 0.5, 0.5, 0.5]);
    const sizes = { m: 2, n: 3, k: 2 };
    expect(engine.read(ENGINE_CONTROL.acquire, 0)).toBe(0);
    expect(engine.read(ENGINE_CONTROL.acquire, 0)).toBe(-2);
    const first = set(engine, sizes, ACCUMULATE);
    expect(first).toBe(jobCycles(shape, sizes, true));
    expect(engine.read(ENGINE_CONTROL.status, 1)).toBe(0x01);
    expect(engine.read(ENGINE_CONTROL.acquire, 1)).toBe(1);
    const second = set(engine, sizes, ACCUMULATE, 1);
    expect(second).toBe(2 * first);
    expect(engine.read(ENGINE_CONTROL.status, 1)).toBe(0x101);
    expect(engine.read(ENGINE_CONTROL.acquire, 1)).toBe(-1);
    expect(engine.read(ENGINE_CONTROL.running, 1)).toBe(0);
    expect(take(Z, 4)).toEqual([0.5, 0.5, 0.5, 0.5]);
    expect(engine.read(ENGINE_CONTROL.status, first)).toBe(0x100);
    expect(take(Z, 4)).toEqual([4.5, 5.5, 10.5, 11.5]);
    expect(engine.read(ENGINE_CONTROL.running, first)).toBe(1);
    engine.settle(second);
    expect(take(Z, 4)).toEqual([8.5, 10.5, 20.5, 22.5]);
    expect([engine.finished, engine.doneAt(2), engine.doneAt(3)]).toEqual([2, 0, null]);
    expect(engine.read(ENGINE_CONTROL.finished, second)).toBe(2);
    expect(engine.read(ENGINE_CONTROL.finished, second)).toBe(0);
  });

  test("a product without accumulation does not read Z", () => {
    const { engine, put, take } = started();
    put(X, [2]);
    put(W, [3]);
    put(Z, [Number.NaN]);
    engine.read(ENGINE_CONTROL.acquire, 0);
    engine.settle(set(engine, { m: 1, n: 1, k: 1 }, PRODUCT));
    expect(take(Z, 1)).toEqual([6]);
  });

  test("a clear gives jobs up, and with 0 also what was set", () => {
    const { engine, take } = started();
    engine.read(ENGINE_CONTROL.acquire, 0);
    const end = set(engine, { m: 1, n: 1, k: 1 }, PRODUCT);
    engine.write(ENGINE_CONTROL.softClear, 1, 0);
    engine.settle(end);
    expect([engine.finished, engine.read(ENGINE_CONTROL.status, end)]).toEqual([0, 0]);
    expect(take(Z, 1)).toEqual([0]);
    engine.read(ENGINE_CONTROL.acquire, end);
    engine.write(ENGINE_JOB.n, 7, end);
    expect(engine.read(ENGINE_JOB.n, end)).toBe(7);
    engine.write(ENGINE_CONTROL.softClear, 0, end);
    expect(engine.read(ENGINE_JOB.n, end)).toBe(0);
  });
});

describe("time", () => {
  const rate = (m: number, n: number, k: number): number =>
    (m * n * k) / jobCycles(shape, { m, n, k }, true);

  test("is the published one for large products, and longer for what does not fill the array", () => {
    // 31.6 multiply-adds a cycle: arXiv 2204.11192, abstract.
    expect(rate(128, 128, 128)).toBeCloseTo(31.6, 1);
    expect(rate(128, 512, 512)).toBeGreaterThan(0.95 * 32);
    expect(rate(128, 512, 512)).toBeLessThan(32);
    // Half of the columns, an eighth of the rows.
    expect(rate(128, 512, 8)).toBeCloseTo(rate(128, 512, 16) / 2, 5);
    expect(rate(1, 512, 512)).toBeCloseTo(rate(8, 512, 512) / 8, 5);
  });

  test("is that of the port where little is computed with what is read", () => {
    const one = jobCycles(shape, { m: 8, n: 4, k: 16 }, true);
    const two = jobCycles(shape, { m: 16, n: 4, k: 16 }, true);
    // Four lines of W and eight each of X, of Z before and of Z after, where the sums take sixteen cycles.
    expect(two - one).toBe(28 + shape.tileCycles.value);
  });
});

const [T0, T1, T2, S0] = [5, 6, 7, 8];
const HERE = TCDM_BASE + 0x4000;

const store = (offset: number, value: number): readonly Line[] => [
  ...loadConstant(T1, value),
  i("sw", T1, offset, T0),
];

interface Job extends Sizes {
  readonly x: number;
  readonly arithmetic: number;
}

const ONE: Job = { x: HERE, m: 1, n: 1, k: 1, arithmetic: PRODUCT };

const triggered = ({ x, m, n, k, arithmetic }: Job): readonly Line[] => [
  i("lw", T1, ENGINE_CONTROL.acquire, T0),
  ...store(ENGINE_JOB.x, x),
  ...store(ENGINE_JOB.w, HERE + 2),
  ...store(ENGINE_JOB.z, HERE + 4),
  ...store(ENGINE_JOB.mk, (k << 16) | m),
  ...store(ENGINE_JOB.n, n),
  ...store(ENGINE_JOB.arithmetic, arithmetic),
  i("sw", 0, ENGINE_CONTROL.trigger, T0),
];

const TWO_AND_THREE = [
  ...loadConstant(T2, HERE),
  ...loadConstant(T1, 0x42004000),
  i("sw", T1, 0, T2),
];

/** Core 0 does this first, with the base of the registers in t0. */
function run(lines: readonly Line[], target = loadTarget("ahwa-lora")) {
  const first = [
    i("bne", S0, 0, "others"),
    ...loadConstant(T0, ENGINE_BASE),
    ...lines,
    label("others"),
  ];
  const stages = [{ ...(STAGES[0] as Stage), first }, STAGES[1] as Stage];
  const artifact = loadArtifact(stagesArtifact(stages));
  const values = Float32Array.from({ length: 32 }, (_, n) => n);
  const inputs = [new Map([["x", tensor("f32", [1, 4, 8], values)]])];
  const { cluster } = target;
  const own = { ...artifact, target: { ...artifact.target, cluster } };
  return new IsaSimulator(own, { inputs, judged: true }).run({ mode: "ideal" });
}

const ends = (status: number): readonly Line[] => [
  i("addi", 10, 0, status),
  i("addi", 17, 0, 93),
  i("ecall"),
];

describe("a program", () => {
  test("starts a job, waits for it and reads its result", async () => {
    const lines = [
      ...TWO_AND_THREE,
      ...triggered(ONE),
      i("lw", T1, ENGINE_CONTROL.status, T0),
      i("beq", T1, 0, "wrong"),
      i("addi", T1, 0, ENGINE_EVENT),
      i("addi", T2, 0, 1),
      i("event.wait", T1, T1, T2),
      i("bne", T1, T2, "wrong"),
      i("lw", T1, ENGINE_CONTROL.status, T0),
      i("bne", T1, 0, "wrong"),
      ...loadConstant(T2, HERE),
      i("lhu", T1, 4, T2),
      // 2 x 3 = 6.
      ...loadConstant(T2, 0x4600),
      i("beq", T1, T2, "others"),
      label("wrong"),
      ...ends(1),
    ];
    await expect(run(lines)).resolves.toBeDefined();
  });

  const cases: readonly (readonly [string, readonly Line[], RegExp])[] = [
    [
      "reads outside of the TCDM",
      triggered({ ...ONE, x: 0x80000000 }),
      /cluster 0, core 0.*X of the matrix engine is 0x80000000 to 0x80000001, not in the TCDM, at .*sw zero,0\(t0\)/,
    ],
    [
      "reads beyond the TCDM",
      triggered({ ...ONE, m: 0xffff, n: 2 }),
      /X of the matrix engine is 0x10004000 to 0x10043ffb, not in the TCDM/,
    ],
    ["reads between two halves", triggered({ ...ONE, x: HERE + 1 }), /0x10004001, between two/],
    ["wants another format", triggered({ ...ONE, arithmetic: 0x400 }), /FP16 .*not in format 0/],
    ["wants bfloats", triggered({ ...ONE, arithmetic: 0x4480 }), /not in format 1 with bit 14/],
    ["wants another operation", triggered({ ...ONE, arithmetic: 0x880 }), /not operation 2/],
    ["multiplies nothing", triggered({ ...ONE, n: 0 }), /no product of 1x0 and 0x1/],
    ["triggers what nobody acquired", [i("sw", 0, 0, T0)], /without having acquired it, at/],
    [
      "triggers it while it is busy",
      [...TWO_AND_THREE, ...triggered(ONE), ...triggered(ONE), i("sw", 0, 0, T0)],
      /without having acquired it, which has two jobs to do already/,
    ],
    ["sets what nobody acquired", store(ENGINE_JOB.n, 1), /set a job of the matrix engine without/],
    ["reads a register that is not there", [i("lw", T1, 0x60, T0)], /read register 0x60/],
    ["writes a register that is not there", [i("sw", T1, 0x18, T0)], /wrote register 0x18/],
    [
      "multiplies what nobody wrote",
      triggered(ONE),
      /a job of the matrix engine, which it triggered: it read at 0x10004000, where nothing has been written yet/,
    ],
    [
      "waits for a job that there is not",
      [i("addi", T1, 0, ENGINE_EVENT), i("addi", T2, 0, 1), i("event.wait", T1, T1, T2)],
      /wait for each other.*\n.*core 0, waits for job 1 of its matrix engine, which has no such job/,
    ],
    [
      "writes where nothing is",
      [...loadConstant(T0, 0x0f000000), i("sw", T1, 4, T0)],
      /it wrote at 0xf000004, where nothing may be written/,
    ],
  ];
  test.each(cases)("that %s is stopped", async (_, lines, message) => {
    await expect(run(lines)).rejects.toThrow(message);
  });

  test("of a target without one is stopped", async () => {
    const { matrixEngine: _, ...cluster } = loadTarget("ahwa-lora").cluster;
    await expect(run(triggered(ONE), { ...loadTarget("ahwa-lora"), cluster })).rejects.toThrow(
      /its cluster has no matrix engine/,
    );
  });
});
