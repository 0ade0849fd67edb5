/** The instruction table against GNU as and objdump: every row, with random operands. */

import { describe, expect, test } from "vitest";
import { assembly, disassemble } from "../../src/riscv/disassemble.ts";
import { FIELDS } from "../../src/riscv/fields.ts";
import { CSRS } from "../../src/riscv/registers.ts";
import { decode, encode, INSTRUCTIONS, type Instruction } from "../../src/riscv/table.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { assembled, DUMPED_AT, dumped } from "./gnu.ts";
import { random } from "./random.ts";

const SEED = 20261121;
const SAMPLES = 24;

/** Operands of an instruction: the corners, then random ones that it may have. */
function operands(i: Instruction, n: number, draw: (below: number) => number): number[] {
  return i.fields.map((name) => {
    const f = FIELDS[name];
    if (!f) throw new Error(name);
    if (name === "rm") return [0, 1, 2, 3, 4, 7][draw(6)] ?? 0;
    if (name === "csr") return Object.values(CSRS)[draw(Object.keys(CSRS).length)] ?? 0;
    if (name === "pred" || name === "succ") return 1 + draw(15); // GNU as has no word for no access.
    if (n === 0) return f.least;
    if (n === 1) return f.most;
    return f.least + f.step * draw((f.most - f.least) / f.step + 1);
  });
}

/** Hints, which do nothing, have names of their own; shifts by 32 and more are those of RV64. */
const NOT_RV32 = /^c\.|^s[lr][la]i .*,0x[23].$|^addi (\w+),\1,0$/;

const at = (offset: number): number => DUMPED_AT + offset;
const draw = random(SEED);
const words = INSTRUCTIONS.flatMap((i) =>
  Array.from({ length: SAMPLES }, (_, n) => ({ i, word: encode(i.name, ...operands(i, n, draw)) })),
);

test("what is encoded is decoded", () => {
  for (const { i, word } of words) expect(decode(word)?.name).toBe(i.name);
});

describe(`seed ${SEED}`, () => {
  const judged = judgedBy(
    findProgram("riscv64-unknown-elf-as"),
    "GNU as for RISC-V",
    RISCV_PACKAGES,
  );
  const bytes = Buffer.from(Uint32Array.from(words, ({ word }) => word).buffer);

  judged("GNU as gives the same words for our text", () => {
    // Targets are addresses in the text; as takes them as such at the address 0 of a section only with a symbol.
    const lines = words.map(({ i, word }, n) =>
      assembly(i, word, n * 4).replace(/(?<=[ ,])([0-9a-f]+)$/, (all) =>
        i.fields.some((f) => f === "branch" || f === "jump")
          ? `.+(${(parseInt(all, 16) - n * 4) | 0})`
          : all,
      ),
    );
    const theirs = assembled(`.option norvc\n.text\n${lines.join("\n")}\n`);
    const differ = words.flatMap(({ word }, n) =>
      theirs.readUInt32LE(n * 4) === word ? [] : [`${lines[n]}: ${word.toString(16)}`],
    );
    expect(differ.slice(0, 100)).toEqual([]);
    expect(theirs.length).toBe(bytes.length);
  });

  judged("objdump gives the same text", () => {
    const theirs = dumped(bytes);
    const differ = words.flatMap(({ i, word }, n) => {
      const [ours, other] = [disassemble(word, at(n * 4)), theirs.get(at(n * 4))];
      return i.extension.startsWith("X") || ours === other ? [] : [`${ours} | ${other}`];
    });
    expect(differ.slice(0, 100)).toEqual([]);
  });

  judged("objdump gives the same text for all compressed instructions", () => {
    const halves = Uint16Array.from({ length: 0x10000 }, (_, n) => n).filter((h) => (h & 3) !== 3);
    const theirs = dumped(Buffer.from(halves.buffer), "rv32imafc");
    const differ = [...halves].flatMap((half, n) => {
      const [ours, other] = [disassemble(half, at(n * 2)), theirs.get(at(n * 2))];
      if (half === 0 || other === undefined || NOT_RV32.test(other)) return [];
      return ours === other ? [] : [`${half.toString(16)}: ${ours} | ${other}`];
    });
    expect(differ.slice(0, 100)).toEqual([]);
  });
});
