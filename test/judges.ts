/**
 * Judges from outside that are Debian packages. In CI a missing one is a failure; elsewhere the tests that ask
 * it say so and are left out, so that `npm test` runs on any machine.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const IN_CI = process.env["CI"] !== undefined;

/** `test` where the judge is there; elsewhere one test that fails in CI and is skipped, with the reason, at home. */
export function judgedBy(judge: string | null, name: string, packages: string): typeof test {
  if (judge !== null) return test;
  const text = `${name} is missing: apt-get install ${packages}`;
  if (IN_CI) {
    test(text, () => expect.fail(text));
  } else {
    process.emitWarning(`${text}; the tests that it judges are skipped`);
  }
  return test.skip as typeof test;
}

/** Debian's mlir-opt, of whichever version is installed. */
export function findMlirOpt(): string | null {
  const versions = existsSync("/usr/lib") ? readdirSync("/usr/lib") : [];
  const found = versions
    .filter((d) => d.startsWith("llvm-"))
    .map((d) => join("/usr/lib", d, "bin", "mlir-opt"))
    .filter((f) => existsSync(f));
  return found.at(-1) ?? null;
}

/** A program compiled from C against isl, or null where there is no compiler or no isl. */
export function compileAgainstIsl(source: string): string | null {
  const folder = mkdtempSync(join(tmpdir(), "aimcc-isl-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, "judge");
  try {
    execFileSync(process.env["CC"] ?? "cc", ["-o", program, source, "-lisl"], { stdio: "pipe" });
  } catch {
    return null; // Said by judgedBy, with the packages to install.
  }
  return program;
}

/** Debian's GNU tools for RISC-V and QEMU's user mode: the packages that bring them. */
export const RISCV_PACKAGES =
  "binutils-riscv64-unknown-elf gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-user";

/** The name of a program of Debian's, or null where it is not installed. */
export function findProgram(name: string): string | null {
  try {
    execFileSync(name, ["--version"], { stdio: "pipe" });
    return name;
  } catch {
    return null; // Said by judgedBy, with the packages to install.
  }
}
