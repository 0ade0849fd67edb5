/**
 * What vector instructions take of a vector unit beside its core, a word for each opcode (vector-unit.as.ts): which of its
 * units, how many registers its operands have, how long a result takes.
 */

import { INSTRUCTIONS, type Instruction } from "../riscv/table.ts";
import type { CoreTiming } from "./costs.ts";
import { opcodeOf } from "./opcodes.ts";

const UNIT = { lanes: 1, memory: 2, slides: 3 };
/** Registers of an operand: as many as the elements fill, one, or of elements of another width. */
const KIND = { none: 0, group: 1, one: 2, wide: 3, half: 4, quarter: 5 };
const [VD_AT, VS1_AT, VS2_AT, LATENCY_AT] = [2, 5, 8, 16];
const FLAG = {
  readsVd: 1 << 11,
  writesVd: 1 << 12,
  scalar: 1 << 13,
  reduces: 1 << 14,
  slow: 1 << 15,
  whole: 1 << 24,
};
/**
 * Cycles from the first registers of whole numbers to the first result. Assumption: one to read them, one to write it;
 * an instruction that waits for it reads behind that.
 */
const INTEGER_CYCLES = 2;
const MOST_LATENCY = 255;

const REDUCTION = /^v(?:w|f)?red/;
const MASK_RESULT = /^vm(?:s(?:eq|ne|lt|le|gt|bf|of|if|bc)|adc|f[elng])|\.mm$/;
const ACCUMULATES = /^vf?w?n?m(?:acc|add|sac|sub)(?:u|us|su)?\./;
const WIDE_RESULT = /^vf?w/;
const WIDE_SOURCE = /\.w[vxif]?$/;
const SLIDES = /^v(?:f?slide|rgather|compress)/;
const DIVIDES = /^v(?:f?r?div|rem|fsqrt)/;

/** Words by opcode. */
export function vectorUses(timing: CoreTiming): Uint32Array {
  const own = INSTRUCTIONS.filter(({ extension }) => extension === "Zve32f");
  const words = new Uint32Array(1 + Math.max(...own.map(({ name }) => opcodeOf(name))));
  for (const i of own) words[opcodeOf(i.name)] = useOf(i, timing);
  return words;
}

function useOf(i: Instruction, timing: CoreTiming): number {
  const { name, fields } = i;
  if (name.startsWith("vset")) return 0;
  const reads = fields.includes("vs3") || ACCUMULATES.test(name);
  const flags =
    (reads ? FLAG.readsVd : 0) |
    (fields.includes("vd") ? FLAG.writesVd : 0) |
    (fields.includes("rd") || fields.includes("fd") ? FLAG.scalar : 0) |
    (REDUCTION.test(name) ? FLAG.reduces : 0) |
    (DIVIDES.test(name) ? FLAG.slow : 0) |
    (/^vmv\dr/.test(name) ? FLAG.whole : 0);
  const latency = Math.min(MOST_LATENCY, latencyOf(i, timing)) << LATENCY_AT;
  return (unitOf(i) | flags | kindsOf(i) | latency) >>> 0;
}

function unitOf({ name, match }: Instruction): number {
  if ((match & 0x7f) !== 0x57) return UNIT.memory;
  return SLIDES.test(name) ? UNIT.slides : UNIT.lanes;
}

function latencyOf(i: Instruction, timing: CoreTiming): number {
  if (unitOf(i) === UNIT.memory) return timing.load;
  const isFloat = /^v(?:f|mf)/.test(i.name) && unitOf(i) === UNIT.lanes;
  if (DIVIDES.test(i.name)) return isFloat ? timing.floatDivide : timing.divide;
  return isFloat ? timing.float : INTEGER_CYCLES;
}

function kindsOf({ name, fields }: Instruction): number {
  const result = REDUCTION.test(name) || MASK_RESULT.test(name) || /^vf?mv\.s/.test(name);
  const vd = result ? KIND.one : WIDE_RESULT.test(name) ? KIND.wide : KIND.group;
  const vs1 = REDUCTION.test(name) || /\.[mv]m$/.test(name) ? KIND.one : KIND.group;
  const of = (field: string, kind: number): number => (fields.includes(field) ? kind : KIND.none);
  const hasVd = fields.includes("vd") || fields.includes("vs3");
  return (
    ((hasVd ? vd : KIND.none) << VD_AT) |
    (of("vs1", vs1) << VS1_AT) |
    (of("vs2", secondKind(name)) << VS2_AT)
  );
}

function secondKind(name: string): number {
  if (/\.mm?$|^vf?mv\.[xf]\.s$/.test(name)) return KIND.one;
  if (WIDE_SOURCE.test(name)) return KIND.wide;
  if (name.endsWith("vf2")) return KIND.half;
  return name.endsWith("vf4") ? KIND.quarter : KIND.group;
}
