/**
 * The instruction-set simulator beside QEMU's user mode, on the same ELF files: `npm run bench:iss [-- FILE.elf...]`.
 * Without files, on the loops of bench/iss-programs.ts. Time is that of the processor, and of both what a run takes
 * beyond a run of a tenth of the length, so that neither's start is in it; of a file it is the whole run.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserProgram } from "../src/iss/user-program.ts";
import { readElf } from "../src/riscv/elf-read.ts";
import * as programs from "./iss-programs.ts";

/** A program, with how often its loop goes round; about a second of QEMU's. */
const PROGRAMS = [
  { name: "integers", body: programs.INTEGERS, rounds: 400_000_000 },
  { name: "memory", body: programs.MEMORY, rounds: 400_000_000 },
  { name: "multiply-add", body: programs.MULTIPLY_ADD, rounds: 20_000_000 },
  { name: "matrix product", body: programs.PRODUCT, rounds: 1000 },
  { name: "vectors", body: programs.VECTORS, rounds: 3_000_000 },
  { name: "parts of vectors", body: programs.PART, rounds: 3_000_000 },
  { name: "vector product", body: programs.VECTOR_PRODUCT, rounds: 3000 },
] as const;

interface Timed {
  readonly instructions: number;
  readonly seconds: number;
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

function ours(elf: Buffer): Timed {
  const world = { write: () => {}, read: () => new Uint8Array() };
  const program = new UserProgram(readElf(elf, "bench.elf"), "bench.elf", ["bench"], 64, world);
  const start = cpuSeconds();
  program.run(Number.MAX_SAFE_INTEGER);
  return { instructions: program.retired, seconds: cpuSeconds() - start };
}

/** What a process took, from what the shell says of it; null where there is no QEMU. */
function onQemu(elf: Buffer): number | null {
  const folder = mkdtempSync(join(tmpdir(), "aimcc-iss-"));
  try {
    const file = join(folder, "bench.elf");
    writeFileSync(file, elf, { mode: 0o755 });
    const { status, stderr } = spawnSync(
      "bash",
      [
        "-c",
        `TIMEFORMAT='%U %S'; time qemu-riscv32 -cpu rv32,v=false,Zve32f=true,vlen=128,elen=32 ${file}`,
      ],
      { encoding: "utf8", stdio: ["ignore", "ignore", "pipe"] },
    );
    const [user = Number.NaN, system = Number.NaN] = (stderr.trim().split("\n").at(-1) ?? "")
      .split(" ")
      .map(Number);
    return status === 127 || Number.isNaN(user + system) ? null : user + system;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Millions of instructions a second, beyond those of the short run where there is one. */
function mips(long: Timed, short: Timed | null): string {
  const instructions = long.instructions - (short?.instructions ?? 0);
  return `${(instructions / (long.seconds - (short?.seconds ?? 0)) / 1e6).toFixed(0)} MIPS`;
}

function report(name: string, elf: Buffer, short: Buffer | null): void {
  const few = short && ours(short);
  const mine = ours(elf);
  const [whole, start] = [onQemu(elf), short && onQemu(short)];
  const theirs =
    whole === null
      ? "no QEMU"
      : `QEMU ${mips({ ...mine, seconds: whole }, few && { ...few, seconds: start ?? 0 })}`;
  const count = `${String(mine.instructions).padStart(12)} instructions`;
  console.log(`${name.padEnd(16)} ${count}  ours ${mips(mine, few)}  ${theirs}`);
}

const files = process.argv.slice(2);
for (const file of files) report(file, readFileSync(file), null);
if (files.length === 0) {
  for (const { name, body, rounds } of PROGRAMS) {
    report(name, programs.looped(body, rounds), programs.looped(body, rounds / 10));
  }
}
