/**
 * The official riscv-tests (github.com/riscv-software-src/riscv-tests) in user mode. They are not part of this project:
 * AIMCC_RISCV_TESTS names a checkout.
 */

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inFolder } from "../riscv/gnu.ts";
import { onOurs } from "./run.ts";

const CHECKOUT = process.env["AIMCC_RISCV_TESTS"];
const SUITES = ["ui", "um", "ua", "uf", "uzfh", "uc", "uzba", "uzbb"];

const files = SUITES.flatMap((suite) => {
  if (CHECKOUT === undefined)
    return [{ suite, file: `rv32${suite}: AIMCC_RISCV_TESTS is not set` }];
  const folder = join(CHECKOUT, "isa", `rv32${suite}`);
  return readdirSync(folder)
    .filter((f) => f.endsWith(".S"))
    .map((f) => ({ suite, file: join(folder, f) }));
});

test.skipIf(CHECKOUT === undefined).each(files)("$file", ({ suite, file }) => {
  const march = `rv32imaf${suite === "uc" ? "c" : ""}_zfh_zba_zbb_zicsr_zifencei`;
  const elf = inFolder((folder) => {
    const out = join(folder, "test.elf");
    const include = ["-Itest/iss/official", `-I${CHECKOUT}/isa/macros/scalar`];
    // Without -N the tests that change their own text could not; relaxing would use gp, which counts the tests.
    const link = ["-nostdlib", "-nostartfiles", "-static", "-Wl,--no-relax,-N"];
    const machine = [`-march=${march}`, "-mabi=ilp32"];
    execFileSync("riscv64-unknown-elf-gcc", [...machine, ...link, ...include, file, "-o", out]);
    return readFileSync(out);
  });
  expect(onOurs(elf).status, "the number of the test that failed").toBe(0);
});
