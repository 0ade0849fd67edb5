/** Every vector instruction, on random registers and configurations, gives the same state on QEMU and on ours. */

import { describe, expect, test } from "vitest";
import { disassemble } from "../../src/riscv/disassemble.ts";
import { INSTRUCTIONS, instructionOf } from "../../src/riscv/table.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { random } from "../riscv/random.ts";
import { randomVectorProgram, VECTOR_BLOCK } from "./random-vector.ts";
import { onOurs, onQemu, TRANSLATED } from "./run.ts";

const SEED = Number(process.env["AIMCC_ISS_SEED"] ?? 20261121);

/** Configurations are part of every sequence. QEMU 7.2 aborts at conversions that round towards zero by their name. */
const FROM = INSTRUCTIONS.filter((i) => i.extension === "Zve32f" && !/^vset|rtz/.test(i.name));
const PART = 110;

const parts = Array.from({ length: Math.ceil(FROM.length / PART) }, (_, n) =>
  FROM.slice(n * PART, (n + 1) * PART),
);
const judged = judgedBy(findProgram("qemu-riscv32"), "QEMU's user mode", RISCV_PACKAGES);

function place(at: number): string {
  if (at < VECTOR_BLOCK.f) return `v${at >> 4}+${at & 15}`;
  const found = Object.entries(VECTOR_BLOCK).find(([, where]) => where === at);
  return found?.[0] ?? `memory+${at - VECTOR_BLOCK.memory}`;
}

/** The instructions after which the state is not the same. */
function judge(ours: Buffer, theirs: Buffer, made: readonly number[]): readonly string[] {
  return made.flatMap((word, n) => {
    const start = n * VECTOR_BLOCK.bytes;
    const found: string[] = [];
    for (let at = 0; at < VECTOR_BLOCK.bytes; at += 4) {
      const [a, b] = [ours.readUInt32LE(start + at), theirs.readUInt32LE(start + at)];
      if (a !== b) found.push(`${place(at)}: ours ${a.toString(16)}, QEMU ${b.toString(16)}`);
    }
    if (found.length === 0) return [];
    const [vl, vtype] = [VECTOR_BLOCK.vl, VECTOR_BLOCK.vtype].map((at) =>
      theirs.readUInt32LE(start + at),
    );
    const text = `${disassemble(word, 0)} vl ${vl} vtype ${vtype?.toString(16)}`;
    return [`${text} -> ${found.slice(0, 4).join("; ")}`];
  });
}

/** Sequences of each instruction; where they are translated each is a module of its own, so there are fewer. */
const MODES = [
  { mode: "never", count: 16 },
  { mode: "atOnce", count: 4 },
] as const;
const CASES = parts.flatMap((from, n) => MODES.map((mode) => ({ n, from, ...mode })));

describe(`seed ${SEED}`, () => {
  judged.each(CASES)("part $n, translated $mode", ({ from, mode, count }) => {
    const { elf, made, data } = randomVectorProgram(from, count, random(SEED + count));
    const [ours, theirs] = [onOurs(elf, [], 2e9, TRANSLATED[mode]), onQemu(elf)];
    expect([ours.status, theirs.status]).toEqual([0, 0]);
    expect(ours.stdout.length).toBe(data.length);
    expect(judge(ours.stdout, theirs.stdout, made).slice(0, 40)).toEqual([]);
  });

  judged("estimates have the tables of the specification", () => {
    const estimates = ["vfrec7.v", "vfrsqrt7.v"].map(instructionOf);
    const { elf, made } = randomVectorProgram(estimates, 300, random(SEED));
    const [ours, theirs] = [onOurs(elf), onQemu(elf)];
    expect(judge(ours.stdout, theirs.stdout, made).slice(0, 40)).toEqual([]);
  });
});

test.each(INSTRUCTIONS.filter((i) => i.name.includes(".rtz.")))(
  "$name is the other in that mode",
  (i) => {
    const state = (name: string): Buffer =>
      onOurs(randomVectorProgram([instructionOf(name)], 40, random(SEED), 1).elf).stdout;
    expect(state(i.name)).toEqual(state(i.name.replace(".rtz", "")));
  },
);
