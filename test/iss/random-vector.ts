/**
 * Random vector instructions in one program, which QEMU and ours run: each begins with registers from a block of
 * memory and a random configuration, and writes registers and status back to there.
 */

import { MAY } from "../../src/riscv/elf.ts";
import { writeElf } from "../../src/riscv/elf-write.ts";
import { encode, type Instruction } from "../../src/riscv/table.ts";

type Draw = (below: number) => number;

/** v0 to v31 of 16 bytes; f1; x5 as a result; fcsr, vcsr, vl, vtype; memory. */
export const VECTOR_BLOCK = {
  v: 0,
  f: 512,
  x: 516,
  fcsr: 520,
  vcsr: 524,
  vl: 528,
  vtype: 532,
  rounds: 536,
  memory: 544,
  bytes: 544 + 1024,
} as const;

const TEXT = 0x10000;
const DATA = 0x2000000;
const [RESULT, SCALAR, STRIDE, TEMP, MEMORY, HERE] = [5, 6, 7, 28, 30, 31];

interface Configuration {
  readonly log: number;
  readonly lmul: number;
}

const word = (draw: Draw): number => draw(0x10000) * 0x10000 + draw(0x10000);

const FLOATS = [
  0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 1,
  0x807fffff, 0x00800000, 0x7f7fffff, 0x4f000000, 0x3f000001,
];

const element = (draw: Draw): number =>
  draw(2) === 0
    ? (FLOATS[draw(FLOATS.length)] ?? 0)
    : draw(3) === 0
      ? (draw(2) * 0x80000000 + (110 + draw(36)) * 0x800000 + draw(0x800000)) >>> 0
      : word(draw);

function constant(rd: number, value: number): number[] {
  const low = (value << 20) >> 20;
  return [encode("lui", rd, ((value - low) >>> 12) & 0xfffff), encode("addi", rd, rd, low)];
}

/** What an instruction needs of the element width and of the group, beyond a configuration that exists. */
function suits(i: Instruction, { log, lmul }: Configuration): boolean {
  const { name } = i;
  const named = /^v(?:l|s|ls|ss|lux|lox|sux|sox)(?:seg(\d))?(ei|e)(\d+)/.exec(name);
  if (named) {
    const [, fields = "1", by, bits] = named;
    const other = lmul + Math.log2(Number(bits) / 8) - log;
    const data = by === "ei" ? lmul : other;
    return other >= -3 && other <= 3 && Number(fields) * 2 ** Math.max(0, data) <= 8;
  }
  if (/^vl\dre|^vs\dr|^v[ls]m\.v|^vmv\dr/.test(name)) return true;
  const by = narrower(name);
  if (by > 0) return log >= by && lmul - by >= -3;
  if (/^vf[wn]cvt/.test(name)) return log === 1 && lmul < 3;
  if (/^v(?:f|mf)/.test(name)) return log === 2;
  if (name.startsWith("vwred")) return log < 2;
  if (/^v(?:w|n(?:sr|clip))/.test(name)) return log < 2 && lmul < 3;
  if (name === "vrgatherei16.vv") return lmul + 1 - log >= -3 && lmul + 1 - log <= 3;
  return true;
}

/** How much narrower (as a power of two) the elements that are extended are; 0 where none are. */
const narrower = (name: string): number =>
  /^v[zs]ext/.test(name) ? (name.endsWith("4") ? 2 : 1) : 0;

/** Registers that do not overlap, and other operands. */
function operands(i: Instruction, { lmul }: Configuration, draw: Draw): number[] {
  const groups = [8, 16, 24].sort(() => draw(2) - 0.5);
  const indexed = /^v[ls][uo]x/.test(i.name);
  const chosen: Record<string, number> = {
    vd: groups[0] ?? 8,
    vs3: groups[0] ?? 8,
    vs1: groups[1] ?? 16,
    vs2: groups[2] ?? 24,
    fd: 1,
    fs1: 1,
    rd: RESULT,
    rs1: i.syntax.includes("(rs1)") ? MEMORY : SCALAR,
    rs2: STRIDE,
    vm: draw(2),
    simm5: draw(32) - 16,
    uimm5: draw(32),
  };
  const by = narrower(i.name);
  if (by > 0) {
    // A group that is smaller than the result's may also begin where no group of that size does.
    const size = 2 ** Math.max(lmul - by, 0);
    chosen["vs2"] = (chosen["vs2"] ?? 0) + size * draw(8 / size);
  }
  if (indexed) Object.assign(chosen, { vs2: 24, vd: 8, vs3: 8 });
  return i.fields.map((f) => chosen[f] ?? 0);
}

const whole = (load: boolean): number[] =>
  [0, 8, 16, 24].flatMap((v) => [
    encode("addi", TEMP, HERE, VECTOR_BLOCK.v + v * 16),
    load ? encode("vl8re8.v", v, TEMP) : encode("vs8r.v", v, TEMP),
  ]);

/** Runs what comes before it, from `back` instructions on, as often as the block says. */
function again(back: number): number[] {
  return [
    encode("lw", TEMP, VECTOR_BLOCK.rounds, HERE),
    encode("addi", TEMP, TEMP, -1),
    encode("sw", TEMP, VECTOR_BLOCK.rounds, HERE),
    encode("bne", TEMP, 0, -(back + 3) * 4),
  ];
}

/** Times that each sequence runs, on what it has left: the second time it is translated where that is asked for. */
const ROUNDS = 3;

function sequence(i: Instruction, at: number, draw: Draw): { words: number[]; made: number } {
  let c: Configuration;
  do c = { log: draw(3), lmul: draw(7) - 3 };
  while ((c.lmul < 0 && c.log > 2 + c.lmul) || !suits(i, c));
  const made = encode(i.name, ...operands(i, c, draw));
  const vtype = (c.lmul & 7) | (c.log << 3) | (draw(4) << 6);
  const most = 2 ** (4 - c.log + c.lmul);
  const words = [
    ...constant(HERE, at),
    encode("lw", TEMP, VECTOR_BLOCK.fcsr, HERE),
    encode("csrrw", 0, 3, TEMP),
    encode("lw", TEMP, VECTOR_BLOCK.vcsr, HERE),
    encode("csrrw", 0, 15, TEMP),
    ...whole(true),
    encode("flw", 1, VECTOR_BLOCK.f, HERE),
    encode("lw", SCALAR, VECTOR_BLOCK.x, HERE),
    encode("addi", RESULT, SCALAR, 0),
    encode("addi", STRIDE, 0, draw(8)),
    encode("addi", MEMORY, HERE, VECTOR_BLOCK.memory),
    ...constant(TEMP, draw(3) === 0 ? most : draw(most + 2)),
    encode("vsetvli", 0, TEMP, vtype),
    made,
    encode("csrrs", TEMP, 0xc20, 0),
    encode("sw", TEMP, VECTOR_BLOCK.vl, HERE),
    encode("csrrs", TEMP, 0xc21, 0),
    encode("sw", TEMP, VECTOR_BLOCK.vtype, HERE),
    encode("csrrs", TEMP, 15, 0),
    encode("sw", TEMP, VECTOR_BLOCK.vcsr, HERE),
    encode("csrrs", TEMP, 3, 0),
    encode("sw", TEMP, VECTOR_BLOCK.fcsr, HERE),
    encode("fsw", 1, VECTOR_BLOCK.f, HERE),
    encode("sw", RESULT, VECTOR_BLOCK.x, HERE),
    ...whole(false),
  ];
  return { words: [...words, ...again(words.length)], made };
}

/** One after the other of some instructions, `count` times each; all in one rounding mode where that is given. */
export function randomVectorProgram(
  from: readonly Instruction[],
  count: number,
  draw: Draw,
  mode?: number,
) {
  const all = from.flatMap((i) => Array.from({ length: count }, () => i));
  const sequences = all.map((i, n) => sequence(i, DATA + n * VECTOR_BLOCK.bytes, draw));
  const data = Buffer.alloc(all.length * VECTOR_BLOCK.bytes);
  all.forEach((i, n) => {
    const block = data.subarray(n * VECTOR_BLOCK.bytes);
    fill(block, i, draw);
    if (mode !== undefined) block.writeUInt32LE(mode << 5, VECTOR_BLOCK.fcsr);
  });
  const text = [
    ...sequences.flatMap((s) => s.words),
    ...[
      [17, 64],
      [10, 1],
      [11, DATA],
      [12, data.length],
    ].flatMap(([x = 0, v = 0]) => constant(x, v)),
    encode("ecall"),
    encode("addi", 17, 0, 93),
    encode("addi", 10, 0, 0),
    encode("ecall"),
  ];
  const bytes = Buffer.from(Uint32Array.from(text).buffer);
  const elf = writeElf({
    entry: TEXT,
    segments: [
      { name: ".text", address: TEXT, bytes, size: bytes.length, may: MAY.read | MAY.execute },
      { name: ".data", address: DATA, bytes: data, size: data.length, may: MAY.read | MAY.write },
    ],
    symbols: [],
  });
  return { elf, made: sequences.map((s) => s.made), data };
}

function fill(block: Buffer, i: Instruction, draw: Draw): void {
  for (let at = 0; at < VECTOR_BLOCK.fcsr; at += 4) block.writeUInt32LE(element(draw), at);
  if (/^v[ls][uo]x/.test(i.name)) {
    // Indices that stay within the memory, whatever their width.
    for (let at = 24 * 16; at < 512; at += 4) block.writeUInt32LE(draw(256), at);
  }
  block.writeUInt32LE(draw(5) * 32 + draw(2), VECTOR_BLOCK.fcsr);
  block.writeUInt32LE(draw(8), VECTOR_BLOCK.vcsr);
  block.writeUInt32LE(ROUNDS, VECTOR_BLOCK.rounds);
  for (let at: number = VECTOR_BLOCK.memory; at < VECTOR_BLOCK.bytes; at++)
    block.writeUInt8(draw(256), at);
}
