import { describe, expect, test } from "vitest";
import { instruction as i, loadConstant } from "../../src/riscv/listing.ts";
import { IsaSimulator } from "../../src/sim/isa/simulator.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { toF32 } from "../../src/tensor/convert.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { RING, STAGES, type Stage, sendTo, stagesArtifact } from "./isa-programs.ts";

const input = (number: number) =>
  tensor(
    "f32",
    [1, 4, 8],
    Float32Array.from({ length: 32 }, (_, i) => Math.sin(7 * i + number)),
  );

function run(stages: readonly Stage[] = STAGES, count = 3, judged = true) {
  const artifact = loadArtifact(stagesArtifact(stages));
  const inputs = Array.from({ length: count }, (_, n) => new Map([["x", input(n)]]));
  return new IsaSimulator(artifact, { inputs, judged, traced: 1 }).run({ mode: "ideal" });
}

describe("programs of two clusters", () => {
  test("pass blocks by DMA and events, on eight cores with barriers", async () => {
    const { outputs, steps, timing } = await run();
    for (const [n, values] of outputs.entries()) {
      const expected = toF32(input(n)).map((v) => Math.max(0, 2 * v));
      expect([...(values.get("out")?.data ?? [])]).toEqual([...expected]);
    }
    expect(steps.map((s) => [s.step, s.iterations, s.check])).toEqual([
      ["double", 6, { blocks: 6, same: 6, worst: 0, rounding: 0 }],
      ["positive", 6, { blocks: 6, same: 6, worst: 0, rounding: 0 }],
    ]);
    expect(timing.slices.length).toBe(4);
  });
});

test("a kernel that computes something else is told by its deviation", async () => {
  const [first] = (await run(but({ work: [i("fmul.s", 2, 1, 1, 0)] }))).steps;
  const { worst = 0, rounding = 0, same } = first?.check ?? {};
  expect(worst).toBeGreaterThan(0.1);
  expect(rounding).toBeLessThan(1e-6);
  expect(same).toBe(0);
});

/** The stages with parts of the first one's program replaced. */
const but = (first: Partial<Stage>): readonly Stage[] => [
  { ...(STAGES[0] as Stage), ...first },
  STAGES[1] as Stage,
];

const [T0, T1, S0] = [5, 6, 8];

describe("a program that goes wrong is stopped with its cluster, core, step and instruction", () => {
  const cases: readonly (readonly [string, Partial<Stage>, RegExp])[] = [
    [
      "reads beyond memory",
      { work: [i("flw", 2, -1, 0)] },
      /cluster 0, core \d, in step 'double' \[Add\] \(\/double\): it read at 0xffffffff, where no memory is, at 0x10[0-9a-f]+ in element \+ 0x4 \(flw/,
    ],
    [
      "writes its text",
      { first: [...loadConstant(T0, 0x10000), i("sw", 0, 0, T0)] },
      /cluster 0, core 0.*it wrote at 0x10000, where nothing may be written/,
    ],
    [
      "reads what nobody wrote",
      { first: [...loadConstant(T0, RING + 0x1000), i("lw", T1, 4, T0)] },
      /it read at 0x10001104, where nothing has been written yet.*lw t1,4\(t0\)/,
    ],
    [
      "reads as a vector what nobody wrote",
      {
        first: [
          ...loadConstant(T0, RING + 0x1000),
          i("vsetivli", 0, 4, 0xd0),
          i("vle32.v", 8, T0, 1),
        ],
      },
      /it read at 0x10001100, where nothing has been written yet.*vle32.v/,
    ],
    [
      "reads near a ring",
      { first: [...loadConstant(T0, 0x80000000 + 0x400), i("lw", T1, 0, T0)] },
      /0x80000400, where no memory is.*\n.*833 bytes from ring of 'x': 0x80000040/,
    ],
    [
      "sends to nobody",
      { send: sendTo(7, RING) },
      /cluster 0, core 0, in step 'double'.*there is no cluster 7.*dma.start/,
    ],
    [
      "sends beyond memory",
      { send: sendTo(1, 0x20000000) },
      /transfer 1, in the memory of cluster 1: it wrote at 0x20000000/,
    ],
    ["signals what it has not sent", { send: [] }, /it signalled block 0 of 'y' too early/],
    ["waits for no event", { events: [9, 1] }, /there is no event 9.*event.wait/],
    [
      "starts tiles that it has not",
      { first: [i("aimc.queue", 0, 0, 0)] },
      /step 'double' has no tiles/,
    ],
    [
      "ends badly",
      { first: [i("addi", 17, 0, 93), i("addi", 10, 0, 3), i("ecall")] },
      /ended with status 3/,
    ],
    ["asks Linux", { first: [i("addi", 17, 0, 64), i("ecall")] }, /system call 64/],
  ];
  test.each(cases)("%s", async (_, first, message) => {
    await expect(run(but(first))).rejects.toThrow(message);
  });

  test("a machine that is stuck says who waits for what", async () => {
    await expect(run(but({ events: [1, 1] }))).rejects.toThrow(
      /wait for each other for ever:\n {2}cluster 0, core 0, waits for 'positive' to count to 1\n.*core 1, 2.*at the barrier/,
    );
  });
});

describe("time", () => {
  const cycles = async (work: Stage["work"]): Promise<number> =>
    (await run(but({ work }), 1, false)).steps[0]?.cycles ?? 0;
  const double = i("fadd.s", 2, 1, 1, 0);

  test("an instruction takes a cycle on every core at once, and a result that is not ready more", async () => {
    const others = (count: number) => Array.from({ length: count }, () => i("addi", T1, 0, 0));
    const some = await cycles([double]);
    // Two iterations of the step, two elements a core each. The sum is stored, which takes three cycles of waiting.
    expect((await cycles([double, ...others(1)])) - some).toBe(0);
    expect((await cycles([double, ...others(10)])) - some).toBe(28);
  });

  test("cycles are read in csr cycle", async () => {
    const first = [
      i("csrrs", T0, 0xc00, 0),
      i("div", T1, S0, S0),
      i("add", T1, T1, T1),
      i("csrrs", T1, 0xc00, 0),
      i("sub", 10, T1, T0),
      i("addi", 17, 0, 93),
      i("ecall"),
    ];
    await expect(run(but({ first }))).rejects.toThrow(/ended with status 38/);
  });
});
