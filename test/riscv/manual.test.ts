/** docs/isa.md is made from the instruction table. */

import { expect, test } from "vitest";
import { ALIAS_ROWS } from "../../src/riscv/aliases.ts";
import { FIELDS } from "../../src/riscv/fields.ts";
import { EXTENSIONS, type Instruction, instructionOf } from "../../src/riscv/table.ts";

/** Made from the table by test/riscv/manual.test.ts. */
const HEAD = `# The instruction set

Made from the instruction table (\`src/riscv/isa\`) by \`test/riscv/manual.test.ts\`; do not edit. The encoder, the
disassembler and the simulator read the same table.

\`x\` are the integer registers, \`f\` the floating-point registers, \`v\` the vector registers, \`m8\`, \`m16\` and \`m32\`
the memory. Where an operand is left out GNU as fills it in: a rounding mode is the dynamic one, a mask is none.
An encoding shows the bits from 31 to 0; a letter stands for a bit of an operand.
`;

const LETTERS: Readonly<Record<string, string>> = {
  rd: "d",
  fd: "d",
  vd: "d",
  vs3: "d",
  rs1: "s",
  fs1: "s",
  vs1: "s",
  rs2: "t",
  fs2: "t",
  vs2: "t",
  fs3: "u",
  rm: "r",
  vm: "m",
};

/** The 32 bits of an instruction, in groups of 8. */
function encoding(i: Instruction): string {
  const letter = (bit: number): string => {
    const field = i.fields.find((f) => ((FIELDS[f]?.mask ?? 0) >>> bit) & 1);
    return field === undefined ? String((i.match >>> bit) & 1) : (LETTERS[field] ?? "i");
  };
  const bits = Array.from({ length: 32 }, (_, n) => letter(31 - n)).join("");
  return (bits.match(/.{8}/g) ?? []).join(" ");
}

const cell = (text: string): string => text.replaceAll("|", "\\|");

function page(): string {
  const parts = EXTENSIONS.map(({ name, title, rows }) => {
    const lines = rows.map(([mnemonic, syntax, , meaning]) => {
      const i = instructionOf(mnemonic);
      return `| \`${`${mnemonic} ${syntax}`.trim()}\` | \`${encoding(i)}\` | ${cell(meaning)} |`;
    });
    return [`## ${name}: ${title}\n`, "| instruction | encoding | meaning |", "| --- | --- | --- |"]
      .concat(lines)
      .join("\n");
  });
  const aliases = ALIAS_ROWS.map(([text, what]) => `| \`${text}\` | ${what} |`);
  const tail = ["## Other names\n", "| name | stands for |", "| --- | --- |", ...aliases].join(
    "\n",
  );
  return `${[HEAD, ...parts.map((p) => `${p}\n`), tail].join("\n")}\n`;
}

test("docs/isa.md says what the table says", async () => {
  await expect(page()).toMatchFileSnapshot("../../docs/isa.md");
});
