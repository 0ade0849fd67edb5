/** Random instruction sequences give the same state on QEMU and on ours. */

import { describe, expect } from "vitest";
import { disassemble } from "../../src/riscv/disassemble.ts";
import { INSTRUCTIONS } from "../../src/riscv/table.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { random } from "../riscv/random.ts";
import { BLOCK, randomProgram } from "./random-program.ts";
import { onOurs, onQemu, TRANSLATED } from "./run.ts";

const SEED = Number(process.env["AIMCC_ISS_SEED"] ?? 20261121);

/**
 * Calls, traps and jumps to registers are not for sequences. When a conditional store of a hart that is alone
 * succeeds is for the machine to say, so test/iss/programs.test.ts judges these by a program that uses them as one must.
 */
const OUTSIDE = /^(?:lr\.w|sc\.w|ecall|ebreak|jalr|fence\.i|auipc)/;

const of = (...extensions: readonly string[]) =>
  INSTRUCTIONS.filter((i) => extensions.includes(i.extension) && !OUTSIDE.test(i.name));

const KINDS = [
  { name: "integer", from: of("I", "M", "A", "Zba", "Zbb"), count: 1500, length: 16 },
  { name: "single precision", from: of("F", "Zicsr"), count: 3000, length: 4 },
  { name: "one single operation", from: of("F"), count: 3000, length: 1 },
  { name: "half precision", from: of("Zfh"), count: 3000, length: 3 },
  { name: "all together", from: of("I", "M", "F", "Zfh", "Zicsr"), count: 1000, length: 24 },
];

/** Where two blocks differ, in words. */
function differences(ours: Buffer, theirs: Buffer): string[] {
  const found: string[] = [];
  for (let at = 0; at < BLOCK.bytes; at += 4) {
    const [a, b] = [ours.readUInt32LE(at), theirs.readUInt32LE(at)];
    if (a === b) continue;
    const place =
      at < BLOCK.f ? `x${at / 4 + 1}` : at < BLOCK.fcsr ? `f${(at - BLOCK.f) / 4}` : `+${at}`;
    found.push(
      `${at === BLOCK.fcsr ? "fcsr" : place}: ours ${a.toString(16)}, QEMU ${b.toString(16)}`,
    );
  }
  return found;
}

/** The sequences that are not the same, with what they began with. */
function judge(
  ours: Buffer,
  theirs: Buffer,
  sequences: readonly (readonly number[])[],
  data: Buffer,
): readonly string[] {
  return sequences.flatMap((words, n) => {
    const block = (of: Buffer): Buffer => of.subarray(n * BLOCK.bytes, (n + 1) * BLOCK.bytes);
    const found = differences(block(ours), block(theirs));
    if (found.length === 0) return [];
    const text = words.map((w, i) => disassemble(w, i * 4)).join("; ");
    const inputs = [
      ...Buffer.from(block(data).subarray(BLOCK.f, BLOCK.memory))
        .swap32()
        .toString("hex")
        .matchAll(/.{8}/g),
    ];
    return [`${text} -> ${found.join("; ")} (f0... and fcsr: ${inputs.join(" ")})`];
  });
}

const judged = judgedBy(findProgram("qemu-riscv32"), "QEMU's user mode", RISCV_PACKAGES);

/** Each sequence is a loop, so that where it is translated it is a module of its own: there are fewer of these. */
const MODES = [
  { mode: "never", share: 1 },
  { mode: "atOnce", share: 8 },
] as const;
const CASES = KINDS.flatMap((kind) => MODES.map((mode) => ({ ...kind, ...mode })));

describe(`seed ${SEED}`, () => {
  judged.each(CASES)("$name, translated $mode", ({ from, count, length, mode, share }) => {
    const program = randomProgram(from, Math.ceil(count / share), length, random(SEED + share));
    const { elf, sequences, data } = program;
    const [ours, theirs] = [onOurs(elf, [], 2e9, TRANSLATED[mode]), onQemu(elf)];
    expect(theirs.status).toBe(0);
    expect(ours.status).toBe(0);
    expect(ours.stdout.length).toBe(data.length);
    expect(judge(ours.stdout, theirs.stdout, sequences, data).slice(0, 5)).toEqual([]);
  });
});
