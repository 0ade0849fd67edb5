/** C loops as programs that write their result, by GNU's compiler and picolibc. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Tensor, toBytes } from "../../src/tensor/tensor.ts";

const GCC = "riscv64-unknown-elf-gcc";
const PICOLIBC = "/usr/lib/picolibc/riscv64-unknown-elf";
const SOURCE = join(import.meta.dirname, "loops.c");
const MACHINE = ["-march=rv32imaf", "-mabi=ilp32f"];
/** The largest numbers of operands that the source declares. */
const OPERANDS = 5;

export interface Loops {
  /** The name that chooses the function. */
  readonly loop: string;
  readonly sizes: Readonly<Record<string, number>>;
}

/** Errors: those of the compiler. */
export function compiled(
  { loop, sizes }: Loops,
  operands: readonly (Tensor | null)[],
  resultBytes: number,
): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "aimcc-kernels-"));
  try {
    const data = operands.flatMap((t, i) => {
      if (!t) return [];
      writeFileSync(join(folder, `operand${i}.bin`), toBytes(t));
      return [`.globl operand${i}`, `operand${i}: .incbin "${join(folder, `operand${i}.bin`)}"`];
    });
    writeFileSync(join(folder, "start.S"), start(data, operands, resultBytes));
    const multi = execFileSync(GCC, [...MACHINE, "-print-multi-directory"], { encoding: "utf8" });
    const defines = Object.entries(sizes).map(([name, value]) => `-D${name}=${value}`);
    const out = join(folder, "program.elf");
    execFileSync(GCC, [
      ...["-O3", "-fno-math-errno", ...MACHINE, `-DLOOP_${loop}`, ...defines],
      ...["-isystem", join(PICOLIBC, "include"), "-nostdlib", "-nostartfiles", "-o", out],
      ...[join(folder, "start.S"), SOURCE, `-L${join(PICOLIBC, "lib", multi.trim())}`],
      ...["-Wl,--start-group", "-lc", "-lm", "-lgcc", "-Wl,--end-group", "-Wl,--no-relax"],
    ]);
    return readFileSync(out);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Calls the kernel, writes its result to standard output and exits. */
function start(
  data: readonly string[],
  operands: readonly (Tensor | null)[],
  bytes: number,
): string {
  const absent = Array.from({ length: OPERANDS }, (_, i) =>
    operands[i] ? "" : `.globl operand${i}\noperand${i}:`,
  );
  return `
  .globl _start
  .text
_start:
  la sp, stack
  call kernel
  li a0, 1
  la a1, result0
  li a2, ${bytes}
  li a7, 64
  ecall
  li a0, 0
  li a7, 93
  ecall
  .data
  .balign 16
${[...data, ...absent].join("\n")}
  .bss
  .balign 16
  .globl result0
result0: .skip ${bytes}
  .globl scratch
scratch: .skip 65536
stack:
`;
}
