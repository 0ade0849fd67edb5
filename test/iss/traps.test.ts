/** What a program may not do ends in one message; damaged files do not do more harm than that. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/diag/diagnostic.ts";
import { MAY } from "../../src/riscv/elf.ts";
import { readElf } from "../../src/riscv/elf-read.ts";
import { writeElf } from "../../src/riscv/elf-write.ts";
import { encode } from "../../src/riscv/table.ts";
import { aimcc, place } from "../e2e/cli.ts";
import { random } from "../riscv/random.ts";
import { onOurs } from "./run.ts";

const TEXT = 0x10000;
const [A0, A1, A2, A7] = [10, 11, 12, 17];

const program = (...words: readonly number[]): Buffer => {
  const bytes = Buffer.from(Uint32Array.from(words).buffer);
  return writeElf({
    entry: TEXT,
    segments: [
      { name: ".text", address: TEXT, bytes, size: bytes.length, may: MAY.read | MAY.execute },
      {
        name: ".bss",
        address: 0x20000,
        bytes: Buffer.alloc(0),
        size: 64,
        may: MAY.read | MAY.write,
      },
    ],
    symbols: [{ name: "main", address: TEXT, size: bytes.length, kind: "function" }],
  });
};

const exit = (status: number): number[] => [
  encode("addi", A0, 0, status),
  encode("addi", A7, 0, 93),
  encode("ecall"),
];

test.each([
  [
    "a read",
    [encode("lw", A0, 4, 0)],
    /A603.*read outside of its memory, at 0x4, at 0x10000 in main \(lw a0,4\(zero\)\)/,
  ],
  ["a write", [encode("sw", A0, -4, 0)], /A603.*wrote outside of its memory, at 0xfffffffc/],
  [
    "a write to text",
    [encode("auipc", A0, 0), encode("sw", A0, 0, A0)],
    /A603.*may only be read, at 0x10000, at 0x10004 in main \+ 0x4/,
  ],
  ["a jump", [encode("jalr", 0, 16, 0)], /A603.*jumped to 0x10/],
  ["a branch", [encode("beq", 0, 0, -4)], /A603.*jumped to 0xfffc/],
  ["the end of the text", [encode("addi", 0, 0, 0)], /A603.*jumped to 0x10004/],
  ["no instruction", [0xffffffff], /A603.*does not know.*\.word 0xffffffff/],
  [
    "a reserved rounding mode",
    [encode("csrrwi", 0, 2, 5), encode("fadd.s", 0, 0, 0, 7)],
    /A603.*does not know.*fadd\.s/,
  ],
  ["a register that may not be written", [encode("csrrw", 0, 0xc00, 1)], /A603.*unimp|A603.*csr/],
  [
    "an atomic access",
    [encode("addi", A0, 0, 2), encode("amoadd.w", A1, A2, A0)],
    /A603.*0x2 is not aligned/,
  ],
  ["a breakpoint", [encode("ebreak")], /A603.*breakpoint/],
  ["a tile", [encode("aimc.process", 0, A0, 0)], /A603.*tile/],
  ["an endless loop", [encode("jal", 0, 0)], /A604.*1000 instructions/],
])("%s", (_, words, message) => {
  expect(() => onOurs(program(...words), [], 1000)).toThrow(message);
});

test("the counter of instructions counts them", () => {
  const words = [encode("addi", 0, 0, 0), encode("csrrs", A0, 0xc02, 0), encode("addi", A7, 0, 93)];
  expect(onOurs(program(...words, encode("ecall"))).status).toBe(1);
});

test("code that a program writes into its own text runs after fence.i", () => {
  const text = Buffer.from(
    Uint32Array.from([
      encode("auipc", A1, 0),
      encode("lw", A2, 24, A1),
      encode("jal", 0, 4),
      encode("sw", A2, 20, A1),
      encode("fence.i"),
      encode("addi", A0, 0, 1),
      encode("addi", A0, 0, 5),
      encode("addi", A7, 0, 93),
      encode("ecall"),
    ]).buffer,
  );
  const may = MAY.read | MAY.write | MAY.execute;
  const segments = [{ name: ".text", address: TEXT, bytes: text, size: text.length, may }];
  expect(onOurs(writeElf({ entry: TEXT, segments, symbols: [] })).status).toBe(5);
});

describe("the command", () => {
  const folder = place();
  const write = (name: string, bytes: Buffer): string => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };

  test("hands the exit status through", async () => {
    expect(await aimcc("run", write("ok.elf", program(...exit(42))))).toMatchObject({
      status: 42,
      stdout: "",
    });
  });

  test("gives the program its arguments and prints what it writes", async () => {
    // The first letter of the second argument.
    const words = [
      encode("lw", A1, 8, 2),
      encode("addi", A0, 0, 1),
      encode("addi", A2, 0, 1),
      encode("addi", A7, 0, 64),
      encode("ecall"),
    ];
    const file = write("echo", program(...words, ...exit(0)));
    expect(await aimcc("run", file, "--", "xyz")).toMatchObject({ status: 0, stdout: "x" });
  });

  test.each([
    ["no ELF file", Buffer.from("hello"), /A601.*is no ELF file/],
    ["half a header", program(...exit(0)).subarray(0, 40), /A602/],
    ["a missing segment", program(...exit(0)).subarray(0, 120), /A602.*a segment lies outside/],
  ])("says that a file is %s", async (_, bytes, message) => {
    const { status, stderr } = await aimcc("run", write("bad.elf", bytes));
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  });

  test("says that a file is not there", async () => {
    expect((await aimcc("run", join(folder, "none.elf"))).stderr).toMatch(/A601.*cannot read/);
  });

  test("takes no arguments for an artifact", async () => {
    expect((await aimcc("run", folder, "more")).stderr).toMatch(/A001.*too many arguments: more/);
  });
});

test("damaged files give a message or run", () => {
  const good = program(encode("addi", A0, 0, 1), ...exit(0));
  const draw = random(5);
  for (let n = 0; n < 400; n++) {
    const bad = Buffer.from(good);
    for (let k = 0; k <= draw(4); k++) bad.writeUInt8(draw(256), draw(Math.min(bad.length, 160)));
    try {
      readElf(bad, "bad.elf");
      if (n % 10 === 0) onOurs(bad, [], 1000);
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
    }
  }
});
