/**
 * The operands of instructions: where each sits in the word, which values it takes and how GNU's tools write it.
 * Source: The RISC-V Instruction Set Manual, volume I, chapters "RV32I" (formats R, I, S, B, U, J) and "V".
 */

import { csrName, F_NAMES, ROUNDING, V_NAMES, X_NAMES } from "./registers.ts";

/** Bits [at, at + width) of the word hold bits [from, from + width) of the value. */
interface Slice {
  readonly at: number;
  readonly width: number;
  readonly from: number;
}

export interface Field {
  readonly slices: readonly Slice[];
  /** All the bits of the word that the operand fills. */
  readonly mask: number;
  /** Smallest and largest value, and what every value is a multiple of. */
  readonly least: number;
  readonly most: number;
  readonly step: number;
  /** `pc` is the address of the instruction: targets are written as addresses. */
  show(value: number, pc: number): string;
}

type Show = Field["show"];
const decimal: Show = (v) => String(v);
const hex: Show = (v) => `0x${(v >>> 0).toString(16)}`;
const among =
  (names: readonly string[]): Show =>
  (v) =>
    names[v] ?? String(v);
/** Targets are addresses without a prefix, as objdump writes them. */
const target: Show = (v, pc) => ((pc + v) >>> 0).toString(16);

function field(slices: readonly (readonly [number, number, number])[], show: Show, signed = false) {
  const parts = slices.map(([at, width, from]) => ({ at, width, from }));
  const bits = Math.max(...parts.map((p) => p.from + p.width));
  const step = 2 ** Math.min(...parts.map((p) => p.from));
  return {
    slices: parts,
    mask: parts.reduce((m, p) => m | (ones(p.width) << p.at), 0) >>> 0,
    least: signed ? -(2 ** (bits - 1)) : 0,
    most: (signed ? 2 ** (bits - 1) : 2 ** bits) - step,
    step,
    show,
  } satisfies Field;
}

/** So many bits; no operand has 32. */
const ones = (width: number): number => (1 << width) - 1;
const one = (at: number, width: number, show: Show, signed = false): Field =>
  field([[at, width, 0]], show, signed);

/** Which accesses a fence orders: input, output, reads, writes. */
const orders: Show = (v) => [..."iorw"].filter((_, i) => (v >> (3 - i)) & 1).join("") || "0";

/** SEW, LMUL and what becomes of the tail and of masked elements. Reserved ones are numbers. */
const vectorType: Show = (v) => {
  const lmul = ["m1", "m2", "m4", "m8", "", "mf8", "mf4", "mf2"][v & 7] ?? "";
  const sew = (v >> 3) & 7;
  if (lmul === "" || sew > 3 || v >> 8 !== 0) return String(v);
  return `e${8 << sew},${lmul},${v & 0x40 ? "ta" : "tu"},${v & 0x80 ? "ma" : "mu"}`;
};

const BRANCH = [
  [8, 4, 1],
  [25, 6, 5],
  [7, 1, 11],
  [31, 1, 12],
] as const;
const JUMP = [
  [21, 10, 1],
  [20, 1, 11],
  [12, 8, 12],
  [31, 1, 20],
] as const;
const STORE = [
  [7, 5, 0],
  [25, 7, 5],
] as const;

/** By the word that stands for the operand in an instruction's syntax. */
export const FIELDS: Readonly<Record<string, Field>> = {
  rd: one(7, 5, among(X_NAMES)),
  rs1: one(15, 5, among(X_NAMES)),
  rs2: one(20, 5, among(X_NAMES)),
  fd: one(7, 5, among(F_NAMES)),
  fs1: one(15, 5, among(F_NAMES)),
  fs2: one(20, 5, among(F_NAMES)),
  fs3: one(27, 5, among(F_NAMES)),
  rm: one(12, 3, among(ROUNDING)),
  imm12: one(20, 12, decimal, true),
  store: field(STORE, decimal, true),
  branch: field(BRANCH, target, true),
  jump: field(JUMP, target, true),
  upper: one(12, 20, hex),
  shamt: one(20, 5, hex),
  csr: one(20, 12, csrName),
  config: one(20, 12, decimal),
  body: one(20, 12, decimal),
  zimm: one(15, 5, decimal),
  pred: one(24, 4, orders),
  succ: one(20, 4, orders),
  vd: one(7, 5, among(V_NAMES)),
  vs1: one(15, 5, among(V_NAMES)),
  vs2: one(20, 5, among(V_NAMES)),
  vs3: one(7, 5, among(V_NAMES)),
  vm: one(25, 1, (v) => (v === 0 ? "v0.t" : "")),
  simm5: one(15, 5, decimal, true),
  uimm5: one(15, 5, decimal),
  vtype11: one(20, 11, vectorType),
  vtype10: one(20, 10, vectorType),
};

/** The bits of the word for a value. Errors: a value that does not fit is a fault of the caller. */
export function put(name: string, value: number): number {
  const { least, most, step, slices } = fieldOf(name);
  if (!(value >= least && value <= most && value % step === 0)) {
    throw new Error(`${value} does not fit ${name}: ${least} to ${most} in steps of ${step}`);
  }
  let word = 0;
  for (const { at, width, from } of slices) word |= ((value >> from) & ones(width)) << at;
  return word >>> 0;
}

/** The value in a word. */
export function take(name: string, word: number): number {
  const { most, step, slices } = fieldOf(name);
  let raw = 0;
  for (const { at, width, from } of slices) raw |= ((word >>> at) & ones(width)) << from;
  return raw > most ? raw - 2 * (most + step) : raw;
}

export function fieldOf(name: string): Field {
  const found = FIELDS[name];
  if (!found) throw new Error(`no operand is called ${name}`);
  return found;
}
