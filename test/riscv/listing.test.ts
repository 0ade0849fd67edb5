/** Sources of ours, assembled by GNU as, are the words that we give. */

import { expect, test } from "vitest";
import { MAY } from "../../src/riscv/elf.ts";
import { readElf } from "../../src/riscv/elf-read.ts";
import { writeElf } from "../../src/riscv/elf-write.ts";
import {
  assemble,
  instruction,
  type Line,
  label,
  loadConstant,
  remark,
  source,
} from "../../src/riscv/listing.ts";
import { onOurs } from "../iss/run.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { assembled } from "./gnu.ts";
import { random } from "./random.ts";

const BASE = 0x10000;
const [ZERO, A0, A1, A7] = [0, 10, 11, 17];
const judged = judgedBy(findProgram("riscv64-unknown-elf-as"), "GNU as for RISC-V", RISCV_PACKAGES);

/** The sum of the numbers from 1 to n, as the exit status. */
const sum = (n: number): readonly Line[] => [
  label("_start"),
  remark("adds\n up"),
  ...loadConstant(A1, n),
  instruction("addi", A0, ZERO, 0),
  label("again"),
  instruction("beq", A1, ZERO, "done"),
  instruction("add", A0, A0, A1),
  instruction("addi", A1, A1, -1),
  instruction("jal", ZERO, "again"),
  label("done"),
  instruction("aimc.queue", 5, 6, 7),
  instruction("addi", A7, ZERO, 93),
  instruction("ecall"),
];

judged("labels, remarks, constants and instructions of ours", () => {
  const isa = "rv32imaf_zfh_zba_zbb_zicsr_zifencei";
  const draw = random(3);
  const constants = [0, 1, -1, 2047, 2048, -2048, -2049, 0x7ffff800, 0x80000000, 0xfffff800]
    .concat(Array.from({ length: 50 }, () => draw(2 ** 31) * 2))
    .flatMap((value) => loadConstant(5, value));
  const far = Array.from({ length: 900 }, () => instruction("fmadd.s", 1, 2, 3, 4, 7));
  const lines = [
    ...sum(10),
    ...constants,
    ...far,
    instruction("bne", 1, 2, "done"),
    instruction("beq", 1, 2, 8),
  ];
  expect(assembled(source(lines, isa))).toEqual(assemble(lines, BASE).bytes);
});

test("a program is assembled, written, read and run", () => {
  const lines = sum(13).filter((l) => l.kind !== "instruction" || l.name !== "aimc.queue");
  const { bytes, symbols } = assemble(lines, BASE);
  const segment = {
    name: ".text",
    address: BASE,
    bytes,
    size: bytes.length,
    may: MAY.read | MAY.execute,
  };
  const elf = writeElf({ entry: BASE, segments: [segment], symbols });
  expect(readElf(elf, "sum.elf")).toMatchObject({
    entry: BASE,
    segments: [{ address: BASE, size: bytes.length, may: MAY.read | MAY.execute }],
    symbols: ["_start", "again", "done"].map((name) => ({ name, kind: "label" })),
  });
  expect(onOurs(elf).status).toBe(91);
});

test("labels that are missing, doubled or too far are our own fault", () => {
  expect(() => assemble([instruction("jal", 0, "nowhere")], BASE)).toThrow("no label nowhere");
  expect(() => assemble([label("a"), label("a")], BASE)).toThrow("twice");
  const far = Array.from({ length: 1100 }, () => instruction("addi", 0, 0, 0));
  expect(() => assemble([instruction("beq", 0, 0, "end"), ...far, label("end")], BASE)).toThrow(
    "does not fit",
  );
});
