/** `aimcc run FILE.elf`: a bare RISC-V program on the instruction-set simulator. */

import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { fail, inFile } from "../diag/diagnostic.ts";
import { UserProgram } from "../iss/user-program.ts";
import { readElf } from "../riscv/elf-read.ts";

/** Whether a path is a file that begins as ELF files do, or is called one. */
export function isProgram(path: string): boolean {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return path.endsWith(".elf");
  const file = openSync(path, "r");
  try {
    const start = Buffer.alloc(4);
    readSync(file, start, 0, 4, 0);
    return path.endsWith(".elf") || start.toString("latin1") === "\x7fELF";
  } finally {
    closeSync(file);
  }
}

interface Limits {
  readonly instructions: number;
  readonly memory: number;
}

/** What the program prints goes through unchanged, and so does its exit status. */
export function runProgram(path: string, args: readonly string[], limits: Limits): void {
  const program = readElf(readProgram(path), path);
  const world = {
    write: (stream: 1 | 2, bytes: Uint8Array) => {
      (stream === 1 ? process.stdout : process.stderr).write(Buffer.from(bytes));
    },
    read: standardInput,
  };
  const running = new UserProgram(program, path, [path, ...args], limits.memory, world);
  process.exitCode = running.run(limits.instructions);
}

function readProgram(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/,.*/s, "") : String(error);
    return fail("A601", `cannot read the program (${reason})`, inFile(path), "give an ELF file");
  }
}

/** Errors of reading, as where standard input is closed, are its end. */
function standardInput(most: number): Uint8Array {
  const bytes = Buffer.alloc(Math.min(most, 65536));
  try {
    return bytes.subarray(0, readSync(0, bytes));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return standardInput(most);
    return new Uint8Array();
  }
}
