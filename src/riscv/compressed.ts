/**
 * C: what each 16-bit instruction of RV32 (with F) stands for.
 * Source: The RISC-V Instruction Set Manual, volume I, chapter "C", tables of the three quadrants.
 */

import { encode } from "./table.ts";

/** The bits [low, low + width) of an instruction, moved up by `to`. */
const cut = (h: number, low: number, width: number, to = 0): number =>
  ((h >> low) & (2 ** width - 1)) << to;

const signed = (value: number, bits: number): number => (value << (32 - bits)) >> (32 - bits);

/** Registers 8 to 15 in three bits. */
const small = (h: number, low: number): number => 8 + cut(h, low, 3);

const full = (h: number): number => cut(h, 7, 5);
const second = (h: number): number => cut(h, 2, 5);
const imm6 = (h: number): number => signed(cut(h, 2, 5) | cut(h, 12, 1, 5), 6);

/** Offsets of the loads and stores of words, from a register and from the stack pointer. */
const near = (h: number): number => cut(h, 6, 1, 2) | cut(h, 10, 3, 3) | cut(h, 5, 1, 6);
const stackLoad = (h: number): number => cut(h, 4, 3, 2) | cut(h, 12, 1, 5) | cut(h, 2, 2, 6);
const stackStore = (h: number): number => cut(h, 9, 4, 2) | cut(h, 7, 2, 6);

const jump = (h: number): number =>
  signed(
    cut(h, 3, 3, 1) |
      cut(h, 11, 1, 4) |
      cut(h, 2, 1, 5) |
      cut(h, 7, 1, 6) |
      cut(h, 6, 1, 7) |
      cut(h, 9, 2, 8) |
      cut(h, 8, 1, 10) |
      cut(h, 12, 1, 11),
    12,
  );

const branch = (h: number): number =>
  signed(
    cut(h, 3, 2, 1) | cut(h, 10, 2, 3) | cut(h, 2, 1, 5) | cut(h, 5, 2, 6) | cut(h, 12, 1, 8),
    9,
  );

/** c.addi4spn: adds four times an unsigned number to the stack pointer. */
function addi4spn(h: number): number | null {
  const by = cut(h, 6, 1, 2) | cut(h, 5, 1, 3) | cut(h, 11, 2, 4) | cut(h, 7, 4, 6);
  return by === 0 ? null : encode("addi", small(h, 2), 2, by);
}

/** c.addi16sp where the register is sp, else c.lui. */
function lui(h: number): number | null {
  if (full(h) !== 2) {
    return imm6(h) === 0 ? null : encode("lui", full(h), imm6(h) & 0xfffff);
  }
  const by = cut(h, 6, 1, 4) | cut(h, 2, 1, 5) | cut(h, 5, 1, 6) | cut(h, 3, 2, 7);
  const whole = signed(by | cut(h, 12, 1, 9), 10);
  return whole === 0 ? null : encode("addi", 2, 2, whole);
}

function shift(name: string, h: number): number | null {
  return cut(h, 12, 1) === 1 ? null : encode(name, small(h, 7), small(h, 7), cut(h, 2, 5));
}

/** The row of quadrant 1 that computes on registers 8 to 15. */
function compute(h: number): number | null {
  const kind = cut(h, 10, 2);
  if (kind === 0) return shift("srli", h);
  if (kind === 1) return shift("srai", h);
  if (kind === 2) return encode("andi", small(h, 7), small(h, 7), imm6(h));
  if (cut(h, 12, 1) === 1) return null;
  const name = ["sub", "xor", "or", "and"][cut(h, 5, 2)] ?? "";
  return encode(name, small(h, 7), small(h, 7), small(h, 2));
}

/** c.jr, c.mv, c.ebreak, c.jalr and c.add. */
function moveOrJump(h: number): number | null {
  const [to, from, add] = [full(h), second(h), cut(h, 12, 1) === 1];
  if (from !== 0) return add ? encode("add", to, to, from) : encode("addi", to, from, 0);
  if (to === 0) return add ? encode("ebreak") : null;
  return encode("jalr", add ? 1 : 0, 0, to);
}

type Expansion = (h: number) => number | null;

/** By quadrant and the three highest bits. Rows that RV32 with F does not have are null. */
const QUADRANTS: readonly (readonly (Expansion | null)[])[] = [
  [
    addi4spn,
    null,
    (h) => encode("lw", small(h, 2), near(h), small(h, 7)),
    (h) => encode("flw", small(h, 2), near(h), small(h, 7)),
    null,
    null,
    (h) => encode("sw", small(h, 2), near(h), small(h, 7)),
    (h) => encode("fsw", small(h, 2), near(h), small(h, 7)),
  ],
  [
    (h) => encode("addi", full(h), full(h), imm6(h)),
    (h) => encode("jal", 1, jump(h)),
    (h) => encode("addi", full(h), 0, imm6(h)),
    lui,
    compute,
    (h) => encode("jal", 0, jump(h)),
    (h) => encode("beq", small(h, 7), 0, branch(h)),
    (h) => encode("bne", small(h, 7), 0, branch(h)),
  ],
  [
    (h) => (cut(h, 12, 1) === 1 ? null : encode("slli", full(h), full(h), second(h))),
    null,
    (h) => (full(h) === 0 ? null : encode("lw", full(h), stackLoad(h), 2)),
    (h) => encode("flw", full(h), stackLoad(h), 2),
    moveOrJump,
    null,
    (h) => encode("sw", second(h), stackStore(h), 2),
    (h) => encode("fsw", second(h), stackStore(h), 2),
  ],
];

/** The 32-bit instruction that a 16-bit one stands for, or null. */
export function expand(half: number): number | null {
  const row = QUADRANTS[half & 3]?.[half >> 13];
  return row && half !== 0 ? row(half) : null;
}
