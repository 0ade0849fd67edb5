/** Programs that GNU's compiler builds from C run the same on QEMU and on ours. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { inFolder } from "../riscv/gnu.ts";
import { onOurs, onQemu } from "./run.ts";

const GCC = "riscv64-unknown-elf-gcc";
const PICOLIBC = "/usr/lib/picolibc/riscv64-unknown-elf";
const SOURCES = "test/iss/programs";

/** The libraries are those for the machine without what `more` adds to it. */
function compiled(program: string, march: string, mabi: string, more: string): Buffer {
  return inFolder((folder) => {
    const machine = [`-march=${march}`, `-mabi=${mabi}`];
    const multi = execFileSync(GCC, [...machine, "-print-multi-directory"], { encoding: "utf8" });
    const object = join(folder, "program.o");
    const include = ["-isystem", join(PICOLIBC, "include")];
    const source = join(SOURCES, `${program}.c`);
    const target = [`-march=${march}${more}`, `-mabi=${mabi}`];
    execFileSync(GCC, ["-O2", ...target, ...include, "-c", "-o", object, source]);
    const out = join(folder, "program.elf");
    const files = [join(SOURCES, "start.S"), join(SOURCES, "system.c"), object];
    const libraries = ["-Wl,--start-group", "-lc", "-lm", "-lgcc", "-Wl,--end-group"];
    const from = `-L${join(PICOLIBC, "lib", multi.trim())}`;
    const link = ["-O2", ...machine, ...include, "-nostdlib", "-nostartfiles", "-o", out];
    execFileSync(GCC, [...link, ...files, from, ...libraries]);
    return readFileSync(out);
  });
}

const ready = findProgram(GCC) && findProgram("qemu-riscv32");
const judged = judgedBy(ready, "gcc for RISC-V or QEMU's user mode", RISCV_PACKAGES);

judged.each([
  ["integers", "rv32i", "ilp32", ""],
  ["integers", "rv32im", "ilp32", ""],
  ["integers", "rv32imac", "ilp32", "_zba_zbb"],
  ["floats", "rv32im", "ilp32", ""],
  ["floats", "rv32im", "ilp32", "af"],
  ["floats", "rv32imaf", "ilp32f", ""],
  ["floats", "rv32imafc", "ilp32f", ""],
  ["atomics", "rv32imaf", "ilp32f", ""],
  ["atomics", "rv32imac", "ilp32", ""],
])("%s for %s, %s%s", (program, march, mabi, more) => {
  const elf = compiled(program, march, mabi, more);
  const args = ["one", "two words"];
  const [ours, theirs] = [onOurs(elf, ["program.elf", ...args]), onQemu(elf, args)];
  expect(theirs.stdout.length).toBeGreaterThan(0);
  expect(ours.stdout.toString()).toBe(theirs.stdout.toString());
  expect(ours.status).toBe(theirs.status);
});
