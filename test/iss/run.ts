/** Programs on our simulator and on QEMU. */

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserProgram } from "../../src/iss/user-program.ts";
import { readElf } from "../../src/riscv/elf-read.ts";
import { inFolder } from "../riscv/gnu.ts";

export interface Outcome {
  readonly status: number | null;
  readonly stdout: Buffer;
}

/** QEMU's machine with what ours has. */
const CPU = "rv32,Zfh=true,zba=true,zbb=true,v=false,Zve32f=true,vlen=128,elen=32";

export function onQemu(elf: Buffer, args: readonly string[] = []): Outcome {
  return inFolder((folder) => {
    const file = join(folder, "program.elf");
    writeFileSync(file, elf, { mode: 0o755 });
    const { status, stdout } = spawnSync("qemu-riscv32", ["-cpu", CPU, file, ...args], {
      maxBuffer: 1 << 28,
    });
    return { status, stdout };
  });
}

/** When text is translated: as usual, at once, or never. */
export const TRANSLATED = { usually: undefined, atOnce: 0, never: 2 ** 31 - 2 } as const;

export function onOurs(
  elf: Buffer,
  args: readonly string[] = [],
  limit = 2e9,
  hot: number | undefined = TRANSLATED.usually,
): Outcome {
  const parts: Uint8Array[] = [];
  const world = {
    write: (_: 1 | 2, bytes: Uint8Array) => void parts.push(bytes),
    read: () => new Uint8Array(),
  };
  const program = new UserProgram(readElf(elf, "program.elf"), "program.elf", args, 16, world, hot);
  const status = program.run(limit);
  return { status, stdout: Buffer.concat(parts) };
}
