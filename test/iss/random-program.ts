/**
 * Random instruction sequences in one program, which QEMU and ours run: each begins with a state from a block of
 * memory, and writes its state back to there. At the end the program prints all blocks.
 */

import { MAY } from "../../src/riscv/elf.ts";
import { writeElf } from "../../src/riscv/elf-write.ts";
import { FIELDS } from "../../src/riscv/fields.ts";
import { encode, type Instruction } from "../../src/riscv/table.ts";

type Draw = (below: number) => number;

/** x1 to x29, f0 to f31, fcsr, and memory that the sequence may access. */
export const BLOCK = {
  x: 0,
  f: 29 * 4,
  fcsr: 61 * 4,
  rounds: 62 * 4,
  memory: 64 * 4,
  bytes: 64 * 4 + 256,
} as const;

const TEXT = 0x10000;
const DATA = 0x2000000;
/** Not changed by sequences: the block, and the memory in it. */
const [SCRATCH, HERE] = [30, 31];

/** Numbers at the edges of what floats and integers can be. */
const EDGES = [
  0, 0x80000000, 1, 0xffffffff, 0x7fffffff, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
  0x7fc00000, 0x7f800001, 0xffc00000, 0xff923456, 0x00000001, 0x80000001, 0x007fffff, 0x00800000,
  0x80800000, 0x00800001, 0x7f7fffff, 0xff7fffff, 0x4b000000, 0x4b000001, 0x4f000000, 0xcf000000,
  0x4f800000, 0x3f000000, 0x3fc00000, 0x40200000, 0x33800000, 0x33800001, 0x3f7fffff, 0x1fffffff,
  0x20000000, 0x34000000, 0x0d800000, 0x00ffffff, 0x477fe000, 0x477ff000, 0x38800000, 0x387fc000,
  0x33000000,
];

/** Halves in their boxes, and one that is not. */
const HALVES = [
  0xffff0000, 0xffff8000, 0xffff3c00, 0xffffbc00, 0xffff7c00, 0xfffffc00, 0xffff7e00, 0xffff7c01,
  0xffff0001, 0xffff8001, 0xffff03ff, 0xffff0400, 0xffff7bff, 0xfffffbff, 0xffff3bff, 0xffff6400,
  0x00003c00, 0xffff1400, 0xffff3800, 0xffff3e00,
];

const word = (draw: Draw): number => draw(0x10000) * 0x10000 + draw(0x10000);

/** A single near a size that makes sums, products and rounding interesting. */
function single(draw: Draw): number {
  const kind = draw(8);
  if (kind < 3) return EDGES[draw(EDGES.length)] ?? 0;
  if (kind < 5) return (draw(2) * 0x80000000 + (110 + draw(36)) * 0x800000 + draw(0x800000)) >>> 0;
  if (kind === 5) return (draw(2) * 0x80000000 + draw(0x1000000)) >>> 0; // Around the least normal.
  if (kind === 6) return (0x3f800000 + (draw(5) - 2)) >>> 0;
  return word(draw);
}

function half(draw: Draw): number {
  if (draw(2) === 0) return HALVES[draw(HALVES.length)] ?? 0;
  return (0xffff0000 + draw(0x10000)) >>> 0;
}

function integer(draw: Draw): number {
  const kind = draw(4);
  if (kind === 0) return EDGES[draw(EDGES.length)] ?? 0;
  if (kind === 1) return (draw(64) - 32) >>> 0;
  return word(draw);
}

const SIZES: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4 };

/** Operands that stay within the sequence and its memory. */
function operand(i: Instruction, field: string, draw: Draw): number {
  const memory = i.syntax.endsWith("(rs1)");
  const f = FIELDS[field];
  if (!f) throw new Error(field);
  if (field === "rs1" && memory) return SCRATCH;
  if (field === "rd" || field === "rs1" || field === "rs2") return draw(30);
  if (field === "rm") return [0, 1, 2, 3, 4, 7, 7, 7][draw(8)] ?? 7;
  if (memory && (field === "imm12" || field === "store")) return draw(257 - accessed(i.name));
  if (field === "branch" || field === "jump") return 8;
  if (field === "csr") return i.fields.includes("zimm") ? 1 + 2 * draw(2) : 1; // No reserved rounding mode.
  return f.least + f.step * draw((f.most - f.least) / f.step + 1);
}

const accessed = (name: string): number => SIZES[/[bhw](?=u?$)/.exec(name)?.[0] ?? "w"] ?? 4;

/** The words that put a whole number into a register. */
function constant(rd: number, value: number): number[] {
  const low = (value << 20) >> 20;
  return [encode("lui", rd, ((value - low) >>> 12) & 0xfffff), encode("addi", rd, rd, low)];
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);

function load(at: number): number[] {
  return [
    ...constant(HERE, at),
    encode("lw", 1, BLOCK.fcsr, HERE),
    encode("csrrw", 0, 3, 1),
    encode("addi", SCRATCH, HERE, BLOCK.memory),
    ...range(0, 32).map((f) => encode("flw", f, BLOCK.f + f * 4, HERE)),
    ...range(1, 30).map((x) => encode("lw", x, BLOCK.x + (x - 1) * 4, HERE)),
  ];
}

function store(): number[] {
  return [
    ...range(1, 30).map((x) => encode("sw", x, BLOCK.x + (x - 1) * 4, HERE)),
    ...range(0, 32).map((f) => encode("fsw", f, BLOCK.f + f * 4, HERE)),
    encode("csrrs", 1, 3, 0),
    encode("sw", 1, BLOCK.fcsr, HERE),
  ];
}

/** Runs what comes before it, from `back` instructions on, as often as the block says. */
function again(back: number): number[] {
  return [
    encode("lw", 1, BLOCK.rounds, HERE),
    encode("addi", 1, 1, -1),
    encode("sw", 1, BLOCK.rounds, HERE),
    encode("bne", 1, 0, -(back + 3) * 4),
  ];
}

/** Times that each sequence runs, on what it has left: the second time it is translated where that is asked for. */
const ROUNDS = 3;

const call = (...values: readonly (readonly [number, number])[]): number[] => [
  ...values.flatMap(([x, v]) => constant(x, v)),
  encode("ecall"),
];

/** Sequences of `length` instructions each, drawn from some; what they are, and the program. */
export function randomProgram(
  from: readonly Instruction[],
  count: number,
  length: number,
  draw: Draw,
): {
  readonly elf: Buffer;
  readonly sequences: readonly (readonly number[])[];
  readonly data: Buffer;
} {
  const sequences = range(0, count).map(() =>
    range(0, length).map(() => {
      const i = from[draw(from.length)];
      if (!i) throw new Error("no instructions to draw from");
      return encode(i.name, ...i.fields.map((f) => operand(i, f, draw)));
    }),
  );
  const data = Buffer.alloc(count * BLOCK.bytes);
  for (const n of range(0, count)) fill(data.subarray(n * BLOCK.bytes), draw);
  // A sequence may end in a branch over its last instruction, so one more follows.
  const nop = encode("addi", 0, 0, 0);
  const text = [
    ...sequences.flatMap((s, n) => {
      const round = [...load(DATA + n * BLOCK.bytes), ...s, nop, nop, ...store()];
      return [...round, ...again(round.length)];
    }),
    ...call([17, 64], [10, 1], [11, DATA], [12, data.length]),
    ...call([17, 93], [10, 0]),
  ];
  const bytes = Buffer.from(Uint32Array.from(text).buffer);
  const elf = writeElf({
    entry: TEXT,
    segments: [
      { name: ".text", address: TEXT, bytes, size: bytes.length, may: MAY.read | MAY.execute },
      { name: ".data", address: DATA, bytes: data, size: data.length, may: MAY.read | MAY.write },
    ],
    symbols: [{ name: "_start", address: TEXT, size: bytes.length, kind: "function" }],
  });
  return { elf, sequences, data };
}

function fill(block: Buffer, draw: Draw): void {
  const halves = draw(2) === 1;
  for (const x of range(0, 29)) block.writeUInt32LE(integer(draw), BLOCK.x + x * 4);
  for (const f of range(0, 32))
    block.writeUInt32LE(halves ? half(draw) : single(draw), BLOCK.f + f * 4);
  // Half of the sequences begin with the inexact flag up, where ours takes another way.
  block.writeUInt32LE(draw(5) * 32 + draw(2), BLOCK.fcsr);
  block.writeUInt32LE(ROUNDS, BLOCK.rounds);
  for (const b of range(0, 256)) block.writeUInt8(draw(256), BLOCK.memory + b);
}
