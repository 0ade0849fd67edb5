/** Programs for bench/iss.ts: loops of instructions, and matrix products as kernels have them. */

import { MAY } from "../src/riscv/elf.ts";
import { writeElf } from "../src/riscv/elf-write.ts";
import { assemble, instruction, type Line, label, loadConstant } from "../src/riscv/listing.ts";

const BASE = 0x10000;
const DATA = 0x100000;
const WORD = 4;
/** Rows, columns and sums of the products. */
const SIDE = 32;
const ROW = SIDE * WORD;
const MATRIX = SIDE * ROW;
const [ZERO, A0, A1, A2, A3, A4, A5, A7] = [0, 10, 11, 12, 13, 14, 15, 17];
const [LEFT, RIGHT, OUT, AT_LEFT, AT_RIGHT] = [5, 6, 7, 28, 29];

const i = instruction;
/** 16 and 32 elements of 32 bits. */
const [E32_M4, E32_M8] = [0xd2, 0xd3];

/** A loop around a body, `rounds` times; `a0` is free, `a1` counts, `a2` points to the matrices. */
export function looped(body: readonly Line[], rounds: number): Buffer {
  const lines = [
    ...loadConstant(A1, rounds),
    ...loadConstant(A2, DATA),
    ...loadConstant(A0, 0x3ecccccd),
    i("fmv.w.x", 1, A0),
    i("fmv.w.x", 2, A0),
    label("again"),
    ...body,
    i("addi", A1, A1, -1),
    i("bne", A1, ZERO, "again"),
    i("addi", A7, ZERO, 93),
    i("addi", A0, ZERO, 0),
    i("ecall"),
  ];
  const { bytes, symbols } = assemble(lines, BASE);
  const numbers = Float32Array.from({ length: 3 * SIDE * SIDE }, (_, n) => 0.1 + n / 8192);
  const text = { name: ".text", address: BASE, bytes, size: bytes.length };
  const data = { name: ".data", address: DATA, bytes: Buffer.from(numbers.buffer) };
  return writeElf({
    entry: BASE,
    segments: [
      { ...text, may: MAY.read | MAY.execute },
      { ...data, size: numbers.byteLength, may: MAY.read | MAY.write },
    ],
    symbols,
  });
}

export const INTEGERS: readonly Line[] = [
  i("add", A3, A3, A1),
  i("xor", A4, A3, A1),
  i("slli", A4, A4, 3),
  i("mul", A3, A3, A4),
  i("srli", A4, A3, 5),
  i("sub", A3, A4, A1),
];

export const MEMORY: readonly Line[] = [
  i("lw", A3, 0, A2),
  i("add", A3, A3, A1),
  i("sw", A3, 4, A2),
  i("lw", A4, 4, A2),
  i("sw", A4, 8, A2),
  i("lb", A4, 9, A2),
];

export const MULTIPLY_ADD: readonly Line[] = [
  i("flw", 3, 0, A2),
  i("fmadd.s", 4, 1, 3, 2, 7),
  i("fmadd.s", 5, 1, 4, 2, 7),
  i("fmadd.s", 6, 1, 5, 4, 7),
  i("fmul.s", 7, 6, 1, 7),
  i("fsw", 7, 0, A2),
];

/** Four registers' worth of elements at once, as elementwise kernels do. */
export const VECTORS: readonly Line[] = [
  i("vsetivli", ZERO, 16, E32_M4),
  i("vle32.v", 8, A2, 1),
  i("vfmul.vf", 16, 8, 1, 1),
  i("vfadd.vf", 16, 16, 2, 1),
  i("vfmacc.vf", 20, 2, 16, 1),
  i("vse32.v", 16, A2, 1),
];

/** The same with fewer elements than the registers hold. */
export const PART: readonly Line[] = [i("vsetivli", ZERO, 13, E32_M4), ...VECTORS.slice(1)];

/** Goes on with the next of `count` rows, columns or factors. */
const next = (counter: number, to: string): readonly Line[] => [
  i("addi", counter, counter, -1),
  i("bne", counter, ZERO, to),
];

const begin: readonly Line[] = [
  i("addi", LEFT, A2, 0),
  ...loadConstant(OUT, DATA + 2 * MATRIX),
  i("addi", A3, ZERO, SIDE),
];

/** A product of two matrices, element by element. */
export const PRODUCT: readonly Line[] = [
  ...begin,
  label("row"),
  ...loadConstant(RIGHT, DATA + MATRIX),
  i("addi", A4, ZERO, SIDE),
  label("column"),
  i("addi", AT_LEFT, LEFT, 0),
  i("addi", AT_RIGHT, RIGHT, 0),
  i("addi", A5, ZERO, SIDE),
  i("fmv.w.x", 4, ZERO),
  label("factor"),
  i("flw", 5, 0, AT_LEFT),
  i("flw", 6, 0, AT_RIGHT),
  i("fmadd.s", 4, 5, 6, 4, 7),
  i("addi", AT_LEFT, AT_LEFT, WORD),
  i("addi", AT_RIGHT, AT_RIGHT, ROW),
  ...next(A5, "factor"),
  i("fsw", 4, 0, OUT),
  i("addi", OUT, OUT, WORD),
  i("addi", RIGHT, RIGHT, WORD),
  ...next(A4, "column"),
  i("addi", LEFT, LEFT, ROW),
  ...next(A3, "row"),
];

/** The same with a row of the result in eight vector registers. */
export const VECTOR_PRODUCT: readonly Line[] = [
  ...begin,
  i("addi", A4, ZERO, SIDE),
  i("vsetvli", ZERO, A4, E32_M8),
  label("row"),
  ...loadConstant(AT_RIGHT, DATA + MATRIX),
  i("addi", A5, ZERO, SIDE),
  i("addi", AT_LEFT, LEFT, 0),
  i("vmv.v.i", 8, 0),
  label("factor"),
  i("flw", 5, 0, AT_LEFT),
  i("vle32.v", 16, AT_RIGHT, 1),
  i("vfmacc.vf", 8, 5, 16, 1),
  i("addi", AT_LEFT, AT_LEFT, WORD),
  i("addi", AT_RIGHT, AT_RIGHT, ROW),
  ...next(A5, "factor"),
  i("vse32.v", 8, OUT, 1),
  i("addi", OUT, OUT, ROW),
  i("addi", LEFT, LEFT, ROW),
  ...next(A3, "row"),
];
