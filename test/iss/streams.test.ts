/** Streams and repetitions against what they mean, and against plain instructions, which QEMU judges. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cluster } from "../../src/iss/cluster.ts";
import { clusterText } from "../../src/iss/cluster-text.ts";
import { STOP } from "../../src/iss/interpreter.ts";
import { MAY } from "../../src/riscv/elf.ts";
import { readElf } from "../../src/riscv/elf-read.ts";
import { assemble, instruction, label, loadConstant } from "../../src/riscv/listing.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { random } from "../riscv/random.ts";
import {
  addressesOf,
  enabled,
  programOf,
  randomStream,
  randomStreams,
  started,
} from "./random-streams.ts";
import { onOurs, onQemu, TRANSLATED } from "./run.ts";
import { slices, TIMING } from "./slices.ts";

const TCDM = { base: 0x100000, bytes: 8192 };
const SEED = Number(process.env["AIMCC_ISS_SEED"] ?? 20261121);
const [T1, DATA, WORDS] = [6, 0x100000, 1024];

describe(`seed ${SEED}`, () => {
  test.each(["atOnce", "never"] as const)(
    "a stream has the elements that its words say, translated %s",
    (when) => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 1e9 }), (seed) => {
          const draw = random(seed);
          const from = randomStream(draw, 0, false, 1);
          const count = addressesOf(from).length;
          const data = Buffer.alloc(WORDS * 4 + 64);
          for (let i = 0; i < WORDS; i++) data.writeInt32LE(0x3f800000 + i, i * 4);
          const to = {
            number: 1,
            writes: true,
            base: DATA,
            counts: [count],
            strides: [4],
            times: 1,
          };
          const copied = programOf(
            [
              ...started(from),
              ...started(to),
              enabled(true),
              ...loadConstant(T1, count - 1),
              instruction("frep.o", T1, 0),
              instruction("fsgnj.s", 1, 0, 0),
              enabled(false),
            ],
            data,
          );
          // The copy may overwrite what is read later.
          fc.pre(count <= WORDS);
          const words = Array.from({ length: WORDS }, (_, i) => data.readInt32LE(i * 4));
          for (const [n, at] of addressesOf(from).entries()) words[n] = words[(at - DATA) / 4] ?? 0;
          const { stdout, status } = onOurs(copied, [], 1e6, TRANSLATED[when]);
          expect(status).toBe(0);
          const found = Array.from({ length: WORDS }, (_, i) => stdout.readInt32LE(i * 4));
          expect(found).toEqual(words);
        }),
        { seed: SEED, numRuns: 60 },
      );
    },
  );

  judgedBy(
    findProgram("qemu-riscv32"),
    "QEMU's user mode",
    RISCV_PACKAGES,
  )("repetitions with streams do what plain instructions do", () => {
    const draw = random(SEED);
    for (let n = 0; n < 60; n++) {
      const { streamed, plain } = randomStreams(draw);
      const theirs = onQemu(plain);
      expect(theirs.status).toBe(0);
      const wanted = theirs.stdout.toString("hex");
      for (const when of ["atOnce", "never"] as const) {
        const mine = onOurs(streamed, [], 1e6, TRANSLATED[when]);
        expect(mine.status).toBe(0);
        expect(mine.stdout.toString("hex"), `program ${n}, translated ${when}`).toBe(wanted);
      }
    }
  });

  test("cores of clusters take the same cycles, whatever part of their time they get", () => {
    const draw = random(SEED);
    for (let n = 0; n < 30; n++) {
      const elf = randomStreams(draw).streamed;
      const cycles = 1 + draw(200);
      const text = clusterText(readElf(elf, "streams.elf"), TIMING);
      const interpreted = slices(text, TCDM, TIMING, cycles, TRANSLATED.never);
      expect(slices(text, TCDM, TIMING, cycles, TRANSLATED.atOnce), `program ${n}`).toEqual(
        interpreted,
      );
    }
  });
});

/** A stream of four words. */
const FOUR = { number: 0, writes: false, base: DATA, counts: [4], strides: [4], times: 1 };
const copy = (to: number, from: number) => instruction("fsgnj.s", to, from, from);
const times = (n: number, body: number) => [
  ...loadConstant(T1, n - 1),
  instruction("frep.o", T1, body - 1),
];

test.each([
  [
    "an element too many",
    [...started(FOUR), enabled(true), ...times(5, 1), copy(3, 0)],
    /read stream ft0, which has no element left, at .*\(fmv\.s ft3,ft0\)/,
  ],
  ["a stream that was not started", [enabled(true), copy(3, 2)], /read stream ft2, which has no/],
  [
    "a write to what is read",
    [...started(FOUR), enabled(true), copy(3, 0), copy(0, 3)],
    /wrote to stream ft0, which has no element left/,
  ],
  [
    "a read of what is written, twice in a row",
    [
      ...started({ ...FOUR, writes: true }),
      enabled(true),
      ...times(2, 1),
      copy(0, 3),
      ...times(2, 1),
      copy(3, 0),
    ],
    /read stream ft0, which has no element left/,
  ],
  ["a change", [...started(FOUR), ...started(FOUR)], /changed stream ft0, which has elements left/],
  [
    "memory that there is not",
    started({ ...FOUR, base: 0x2000 }),
    /read outside of its memory, at 0x2000, at .*scfgwi t0,768/,
  ],
  [
    "the end of the memory",
    started({ ...FOUR, counts: [4, 0x400000], strides: [4, 4], writes: true }),
    /wrote outside of its memory, at 0x/,
  ],
  ["text", started({ ...FOUR, base: 0x10000, writes: true }), /may only be read, at 0x10000/],
  ["halves of words", started({ ...FOUR, base: DATA + 2 }), /a stream at 0x100002 is not aligned/],
  [
    "a repeated load",
    [...times(2, 1), instruction("flw", 3, 0, 8)],
    /repeated an instruction that does not compute on floats alone/,
  ],
  [
    "a load of a stream",
    [enabled(true), instruction("flw", 1, 0, 8)],
    /loaded or stored a register that stands for a stream/,
  ],
])("%s ends in one message", (_, body, message) => {
  for (const when of ["atOnce", "never"] as const) {
    const elf = programOf(body, Buffer.alloc(WORDS * 4 + 64));
    expect(() => onOurs(elf, [], 1e6, TRANSLATED[when])).toThrow(message);
  }
});

test("a configuration is read back, and says what is left", () => {
  const reads: readonly (readonly [word: number, stream: number])[] = [
    [0, 0],
    [2, 0],
    [6, 0],
    [0, 1],
    [7, 2],
  ];
  const noted = (at: number) =>
    reads.flatMap(([word, stream], i) => [
      instruction("scfgri", T1, (word << 5) | stream),
      instruction("sw", T1, 4 * (at + i), 8),
    ]);
  const body = [
    ...loadConstant(T1, -12),
    instruction("scfgwi", T1, (7 << 5) | 31),
    ...started({ ...FOUR, counts: [2, 2], strides: [4, 8] }),
    ...started({ ...FOUR, number: 1, base: DATA + 512, writes: true }),
    enabled(true),
    ...loadConstant(9, 3),
    label("again"),
    instruction("fsgnj.s", 1, 0, 0),
    instruction("addi", 9, 9, -1),
    ...noted(64),
    instruction("bne", 9, 0, "again"),
    instruction("fsgnj.s", 1, 0, 0),
    ...noted(80),
    enabled(false),
  ];
  for (const when of ["atOnce", "never"] as const) {
    const elf = programOf(body, Buffer.alloc(WORDS * 4 + 64));
    const { stdout } = onOurs(elf, [], 1e6, TRANSLATED[when]);
    const words = (at: number) => reads.map((_, i) => stdout.readInt32LE(4 * (at + i)) >>> 0);
    const [two, written, less] = [0x10000000, 0x40000000, 2 ** 32 - 12];
    expect(words(64)).toEqual([two, 1, 4, written, less]);
    expect(words(80)).toEqual([two + 2 ** 31, 1, 4, written + 2 ** 31, less]);
  }
});

test("reads of what nobody has written are found in streams too", () => {
  const lines = [...started(FOUR), enabled(true), ...times(4, 1), copy(3, 0)];
  const { bytes } = assemble(lines, 0x10000);
  const text = { address: 0x10000, bytes, size: bytes.length, may: MAY.read | MAY.execute };
  const program = { entry: 0x10000, segments: [text], symbols: [] };
  const cluster = new Cluster(clusterText(program, TIMING), {
    cores: 1,
    tcdm: TCDM,
    main: { base: 0x80000000, bytes: 64 },
    timing: TIMING,
    checked: true,
  });
  cluster.room(DATA, 12);
  const wanted = { kind: "trap", cause: STOP.unwritten, address: DATA + 12 };
  expect(cluster.run(0, 1000)).toEqual(wanted);
});
