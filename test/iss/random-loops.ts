/**
 * Random programs of loops, branches, calls and accesses to memory, which end with their state on standard output.
 * Steps backwards are counted, so that they end; with `wild` some read, write or jump where they may not.
 */

import { MAY } from "../../src/riscv/elf.ts";
import { writeElf } from "../../src/riscv/elf-write.ts";
import { assemble, instruction, type Line, label, loadConstant } from "../../src/riscv/listing.ts";
import { INSTRUCTIONS, type Instruction } from "../../src/riscv/table.ts";

type Draw = (below: number) => number;

const TEXT = 0x10000;
const DATA = 0x20000;
const DATA_BYTES = 4096;
const [ZERO, RA, BASE, FUEL, SAVED] = [0, 1, 8, 9, 3];
/** Registers that instructions may write, and loads may take as an address where programs are wild. */
const FREE = [5, 6, 7, 10, 11, 12, 13, 14];
const FLOATS = 8;
/** Vector registers that begin a group of up to four. */
const GROUPS = [4, 8, 12, 16, 20, 24];

const pick = <T>(from: readonly T[], draw: Draw): T => {
  const found = from[draw(from.length)];
  if (found === undefined) throw new Error("nothing to pick from");
  return found;
};

const SCALAR = INSTRUCTIONS.filter(
  (i) =>
    ["I", "M", "Zba", "Zbb", "F"].includes(i.extension) &&
    !/^(?:j|b|e|auipc|l|s[bhw]$|f[ls][wh])/.test(i.name),
);
const MEMORY = INSTRUCTIONS.filter((i) => /^(?:l[bhw]u?|s[bhw]|f[ls]w)$/.test(i.name));
const VECTOR = INSTRUCTIONS.filter((i) =>
  /^v(?:[ls]e32\.v|v?f?(?:add|sub|mul|min|max|sgnj|div|macc|nmsac|madd|msub)\.v|f?merge|f?mv\.v|ms[elgn]|mf|f?redu?o?(?:sum|max)|fcvt\.[xf]\.[xf]\.v|sll|sra|and|fmv|mv\.[xs]|le8\.v)/.test(
    i.name,
  ),
);

function operand(i: Instruction, field: string, draw: Draw): number {
  if (field === "rd" || field === "rs1" || field === "rs2") return pick([ZERO, ...FREE], draw);
  if (/^f[sd]/.test(field)) return draw(FLOATS);
  if (field === "rm") return pick([7, 7, 7, 0, 1], draw);
  if (field === "vm") return draw(8) === 0 ? 0 : 1;
  if (field.startsWith("v")) return pick(GROUPS, draw);
  if (field === "shamt" || field === "uimm5") return draw(32);
  if (field === "simm5") return draw(32) - 16;
  if (field === "upper") return draw(0x100000);
  if (field === "pred" || field === "succ") return draw(16);
  if (field === "imm12") return draw(4096) - 2048;
  throw new Error(`${i.name} has ${field}`);
}

function access(i: Instruction, draw: Draw, wild: boolean): readonly Line[] {
  const base = wild && draw(30) === 0 ? pick(FREE, draw) : BASE;
  const vector = i.name.startsWith("v");
  const operands = i.fields.map((f) => {
    if (f === "rs1") return vector ? (FREE[0] ?? 0) : base;
    if (f === "imm12" || f === "store") return draw(2040) - 1020;
    if (f === "vm") return 1;
    return operand(i, f, draw);
  });
  if (!vector) return [instruction(i.name, ...operands)];
  return [
    instruction("addi", FREE[0] ?? 0, base, draw(200) * 4 - 400),
    instruction(i.name, ...operands),
  ];
}

function straight(draw: Draw, wild: boolean): readonly Line[] {
  const kind = draw(10);
  if (kind < 4) return access(pick(MEMORY, draw), draw, wild);
  if (kind === 9) {
    // Of the narrower elements not all instructions are there.
    const setting = pick(wild ? [0xd0, 0xd1, 0xd2, 0xd2, 0xc8, 0xc1] : [0xd0, 0xd1, 0xd2], draw);
    const length = draw(3) === 0 ? draw(20) : 16;
    return [instruction("vsetivli", ZERO, Math.min(31, length), setting)];
  }
  const i = pick(kind < 7 ? SCALAR : VECTOR, draw);
  if (/^v[ls]e/.test(i.name)) return access(i, draw, wild);
  return [instruction(i.name, ...i.fields.map((f) => operand(i, f, draw)))];
}

const CONDITIONS = ["beq", "bne", "blt", "bge", "bltu", "bgeu"];

/** How a block ends: it goes on, or to another one; backwards only while there is fuel. */
function ending(at: number, blocks: number, draw: Draw): readonly Line[] {
  const [a, b] = [pick([ZERO, ...FREE], draw), pick(FREE, draw)];
  const condition = pick(CONDITIONS, draw);
  const kind = draw(8);
  if (kind < 2) return [];
  if (kind === 2) return [instruction("jal", RA, `f${draw(2)}`)];
  if (kind < 5) {
    const to = Math.min(blocks - 1, at + 1 + draw(3));
    return [instruction(condition, a, b, at + 1 < blocks ? `b${to}` : "end")];
  }
  const back = `b${draw(at + 1)}`;
  return [
    instruction("addi", FUEL, FUEL, -1),
    instruction("bge", ZERO, FUEL, "end"),
    kind === 5 ? instruction("jal", ZERO, back) : instruction(condition, a, b, back),
  ];
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** A function with a loop that runs as often as a register says, at most three times. */
function callee(n: number, draw: Draw, wild: boolean): readonly Line[] {
  return [
    label(`f${n}`),
    instruction("andi", 15, pick(FREE, draw), 3),
    label(`f${n}again`),
    ...range(1 + draw(4)).flatMap(() => straight(draw, wild)),
    instruction("addi", 15, 15, -1),
    instruction("blt", ZERO, 15, `f${n}again`),
    ...(n === 0 && draw(2) === 0
      ? [
          instruction("addi", SAVED, RA, 0),
          instruction("jal", RA, "f1"),
          instruction("addi", RA, SAVED, 0),
        ]
      : []),
    instruction("jalr", ZERO, 0, RA),
  ];
}

/** Everything into the memory, and that to standard output. */
const END: readonly Line[] = [
  label("end"),
  ...FREE.map((x, i) => instruction("sw", x, i * 4, BASE)),
  ...range(FLOATS).map((f) => instruction("fsw", f, 64 + f * 4, BASE)),
  instruction("csrrs", 5, 3, ZERO),
  instruction("sw", 5, 128, BASE),
  instruction("addi", 5, BASE, 512),
  instruction("vs8r.v", 8, 5),
  ...loadConstant(10, 1),
  ...loadConstant(11, DATA),
  ...loadConstant(12, DATA_BYTES),
  ...loadConstant(17, 64),
  instruction("ecall"),
  ...loadConstant(10, 0),
  ...loadConstant(17, 93),
  instruction("ecall"),
];

export function randomLoops(draw: Draw, wild: boolean): Buffer {
  const blocks = 3 + draw(8);
  const lines = [
    ...loadConstant(BASE, DATA + DATA_BYTES / 2),
    ...loadConstant(FUEL, 40),
    ...FREE.map((x, i) => instruction("lw", x, i * 4, BASE)),
    ...range(FLOATS).map((f) => instruction("flw", f, 64 + f * 4, BASE)),
    ...(draw(4) === 0 ? [] : [instruction("csrrwi", ZERO, 1, 1)]), // The inexact flag.
    ...GROUPS.flatMap((v) => [instruction("vl4re32.v", v, BASE)]),
    instruction("vsetivli", ZERO, 16, 0xd2),
    ...range(blocks).flatMap((n) => [
      label(`b${n}`),
      ...range(draw(7)).flatMap(() => straight(draw, wild)),
      ...ending(n, blocks, draw),
    ]),
    instruction("jal", ZERO, "end"),
    ...callee(0, draw, wild),
    ...callee(1, draw, wild),
    ...END,
  ];
  const { bytes, symbols } = assemble(lines, TEXT);
  const data = Buffer.alloc(DATA_BYTES);
  const float = (): number => 0.25 + draw(1000) / 500;
  for (let at = 0; at < DATA_BYTES; at += 4) {
    if (draw(8) === 0) data.writeUInt32LE(draw(0x10000) * 0x10000 + draw(0x10000), at);
    else data.writeFloatLE(draw(9) === 0 ? 0 : float() * (draw(2) * 2 - 1), at);
  }
  const text = { name: ".text", address: TEXT, bytes, size: bytes.length };
  return writeElf({
    entry: TEXT,
    segments: [
      { ...text, may: MAY.read | MAY.execute },
      { name: ".data", address: DATA, bytes: data, size: data.length, may: MAY.read | MAY.write },
    ],
    symbols,
  });
}
