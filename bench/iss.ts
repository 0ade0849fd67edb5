/**
 * The instruction-set simulator beside QEMU's user mode, on the same ELF files: `npm run bench:iss [-- FILE.elf...]`.
 * Without files, on loops of instructions that are generated here. Time is that of the processor, with the start of
 * neither: ours is measured within, QEMU's is what a run takes beyond a run of a tenth of the length.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserProgram } from "../src/iss/user-program.ts";
import { MAY } from "../src/riscv/elf.ts";
import { readElf } from "../src/riscv/elf-read.ts";
import { writeElf } from "../src/riscv/elf-write.ts";
import { assemble, instruction, type Line, label, loadConstant } from "../src/riscv/listing.ts";

const BASE = 0x10000;
const DATA = 0x100000;
const ROUNDS = 100_000_000;
const [ZERO, A0, A1, A2, A3, A4, A7] = [0, 10, 11, 12, 13, 14, 17];

/** A loop around a body, `rounds` times; `a0` is free, `a1` counts, `a2` points to 4 KiB of data. */
function looped(body: readonly Line[], rounds: number): Buffer {
  const lines = [
    ...loadConstant(A1, rounds),
    ...loadConstant(A2, DATA),
    ...loadConstant(A0, 0x3ecccccd),
    instruction("fmv.w.x", 1, A0),
    instruction("fmv.w.x", 2, A0),
    label("again"),
    ...body,
    instruction("addi", A1, A1, -1),
    instruction("bne", A1, ZERO, "again"),
    instruction("addi", A7, ZERO, 93),
    instruction("addi", A0, ZERO, 0),
    instruction("ecall"),
  ];
  const { bytes, symbols } = assemble(lines, BASE);
  const numbers = Buffer.from(Float32Array.from({ length: 1024 }, (_, i) => 0.1 + i / 2048).buffer);
  const data = {
    name: ".data",
    address: DATA,
    bytes: numbers,
    size: 4096,
    may: MAY.read | MAY.write,
  };
  const text = {
    name: ".text",
    address: BASE,
    bytes,
    size: bytes.length,
    may: MAY.read | MAY.execute,
  };
  return writeElf({ entry: BASE, segments: [text, data], symbols });
}

const BODIES: readonly (readonly [string, readonly Line[]])[] = [
  [
    "integers",
    [
      instruction("add", A3, A3, A1),
      instruction("xor", A4, A3, A1),
      instruction("slli", A4, A4, 3),
      instruction("mul", A3, A3, A4),
      instruction("srli", A4, A3, 5),
      instruction("sub", A3, A4, A1),
    ],
  ],
  [
    "memory",
    [
      instruction("lw", A3, 0, A2),
      instruction("add", A3, A3, A1),
      instruction("sw", A3, 4, A2),
      instruction("lw", A4, 4, A2),
      instruction("sw", A4, 8, A2),
      instruction("lb", A4, 9, A2),
    ],
  ],
  [
    "multiply-add",
    [
      instruction("flw", 3, 0, A2),
      instruction("fmadd.s", 4, 1, 3, 2, 7),
      instruction("fmadd.s", 5, 1, 4, 2, 7),
      instruction("fmadd.s", 6, 1, 5, 4, 7),
      instruction("fmul.s", 7, 6, 1, 7),
      instruction("fsw", 7, 0, A2),
    ],
  ],
];

/** Eight registers' worth of elements at once, as kernels for vector clusters do: load, multiply-add, store. */
const VECTOR_BODY: readonly Line[] = [
  instruction("vsetivli", ZERO, 16, 0xd2), // e32, m4, ta, ma.
  instruction("vle32.v", 8, A2, 1),
  instruction("vfmacc.vf", 16, 1, 8, 1),
  instruction("vfmacc.vf", 20, 2, 8, 1),
  instruction("vfmul.vf", 16, 16, 1, 1),
  instruction("vse32.v", 16, A2, 1),
];

interface Timed {
  readonly instructions: number;
  readonly seconds: number;
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

function ours(elf: Buffer): Timed {
  const world = { write: () => {}, read: () => new Uint8Array() };
  const program = new UserProgram(readElf(elf, "bench.elf"), "bench.elf", ["bench"], 64, world);
  const start = cpuSeconds();
  program.run(Number.MAX_SAFE_INTEGER);
  return { instructions: program.retired, seconds: cpuSeconds() - start };
}

/** What a process took, from what the shell says of it; null where there is no QEMU. */
function onQemu(elf: Buffer): number | null {
  const folder = mkdtempSync(join(tmpdir(), "aimcc-iss-"));
  try {
    const file = join(folder, "bench.elf");
    writeFileSync(file, elf, { mode: 0o755 });
    const { status, stderr } = spawnSync(
      "bash",
      [
        "-c",
        `TIMEFORMAT='%U %S'; time qemu-riscv32 -cpu rv32,v=false,Zve32f=true,vlen=128,elen=32 ${file}`,
      ],
      {
        encoding: "utf8",
      },
    );
    const [user = Number.NaN, system = Number.NaN] = (stderr.trim().split("\n").at(-1) ?? "")
      .split(" ")
      .map(Number);
    return status === 127 || Number.isNaN(user + system) ? null : user + system;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const mips = ({ instructions, seconds }: Timed): string =>
  (instructions / seconds / 1e6).toFixed(0);

function report(name: string, elf: Buffer, short: Buffer | null): void {
  const mine = ours(elf);
  const [whole, start] = [onQemu(elf), short ? onQemu(short) : 0];
  const share = short ? 0.9 : 1;
  const theirs =
    whole === null || start === null
      ? "no QEMU"
      : `QEMU ${mips({ instructions: mine.instructions * share, seconds: whole - start })} MIPS`;
  console.log(
    `${name.padEnd(16)} ${String(mine.instructions).padStart(12)} instructions  ours ${mips(mine)} MIPS  ${theirs}`,
  );
}

const files = process.argv.slice(2);
for (const file of files) report(file, readFileSync(file), null);
if (files.length === 0) {
  for (const [name, body] of BODIES) report(name, looped(body, ROUNDS), looped(body, ROUNDS / 10));
  const rounds = ROUNDS / 40;
  report("vectors", looped(VECTOR_BODY, rounds), looped(VECTOR_BODY, rounds / 10));
}
