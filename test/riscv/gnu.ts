/** What GNU's tools make of assembler text and of words. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "riscv64-unknown-elf-";
const ARCH = "rv32imafv_zfh_zba_zbb_zicsr_zifencei";

export function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "aimcc-riscv-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const gnu = (tool: string, ...args: string[]): string =>
  execFileSync(PREFIX + tool, args, { encoding: "utf8", maxBuffer: 1 << 28 });

/** The bytes of `.text` that GNU as makes of a source. */
export function assembled(source: string, arch = ARCH): Buffer {
  return inFolder((folder) => {
    const [s, o, bin] = ["a.S", "a.o", "a.bin"].map((f) => join(folder, f)) as [
      string,
      string,
      string,
    ];
    writeFileSync(s, source);
    gnu("as", `-march=${arch}`, "-mabi=ilp32", "-mno-relax", "-o", o, s);
    gnu("objcopy", "-O", "binary", "-j", ".text", o, bin);
    return readFileSync(bin);
  });
}

/** Where `dumped` puts the first byte. */
export const DUMPED_AT = 4;

/** The text of each instruction at its address, as objdump writes it, without symbols and remarks. */
export function dumped(text: Uint8Array, arch = ARCH): ReadonlyMap<number, string> {
  return inFolder((folder) => {
    const [s, o] = [join(folder, "a.S"), join(folder, "a.o")];
    const bytes = [...text].map((b) => `.byte ${b}`).join("\n");
    // A label with a type of instruction makes objdump read bytes as instructions.
    writeFileSync(s, `.text\n.insn 0x00000013\n${bytes}\n`);
    gnu("as", `-march=${arch}`, "-mabi=ilp32", "-mno-relax", "-o", o, s);
    const lines = gnu("objdump", "-D", "-z", "-j", ".text", o).split("\n");
    return new Map(lines.flatMap(readLine));
  });
}

function readLine(line: string): readonly (readonly [number, string])[] {
  const [, at, text] = /^\s*([0-9a-f]+):\t[0-9a-f ]+\t(.*)$/.exec(line) ?? [];
  if (at === undefined || text === undefined) return [];
  const plain = text
    .replace(/\s*#.*$/, "")
    .replace(/\s*<.*>$/, "")
    .replace(/\t/g, " ")
    // Versions of objdump differ in whether the immediate shows in the name.
    .replace(/^(add|and|or|xor|sll|srl|sra|ror|slt|csrr?[wsc]|fsrm|fsflags) (.*)$/, immediate)
    .replace(/^sltu (.*,-?\d+)$/, "sltiu $1")
    .replace(/^\.2byte /, ".half ");
  return [[parseInt(at, 16), plain.trim()]];
}

const immediate = (all: string, name: string, operands: string): string =>
  /(?:^|,)(?:-?\d+|0x[0-9a-f]+)$/.test(operands) ? `${name}i ${operands}` : all;
