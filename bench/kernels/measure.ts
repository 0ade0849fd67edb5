/** A bare program on one core: its instructions, its cycles in the model of a target's cores, and what it writes. */

import { Cluster } from "../../src/iss/cluster.ts";
import { clusterText } from "../../src/iss/cluster-text.ts";
import type { CoreTiming } from "../../src/iss/costs.ts";
import { UserProgram } from "../../src/iss/user-program.ts";
import { type Executable, MAY } from "../../src/riscv/elf.ts";
import { readElf } from "../../src/riscv/elf-read.ts";
import { assemble, loadConstant } from "../../src/riscv/listing.ts";

const FILE = "program.elf";
const LIMIT = 4e9;
const MEMORY_MIB = 64;

export interface Measured {
  readonly instructions: number;
  readonly cycles: number;
  readonly written: Buffer;
}

export function measured(elf: Buffer, timing: CoreTiming): Measured {
  const parts: Uint8Array[] = [];
  const world = {
    write: (_: 1 | 2, bytes: Uint8Array) => void parts.push(bytes),
    read: () => new Uint8Array(),
  };
  const program = new UserProgram(readElf(elf, FILE), FILE, [], MEMORY_MIB, world);
  const status = program.run(LIMIT);
  if (status !== 0) throw new Error(`the program ended with ${status}`);
  return {
    instructions: program.retired,
    cycles: cyclesOf(elf, timing),
    written: Buffer.concat(parts),
  };
}

const STACK_BYTES = 4096;
const SP = 2;

/** All data lies in the TCDM, however large it would have to be. */
function cyclesOf(elf: Buffer, timing: CoreTiming): number {
  const program = readElf(elf, FILE);
  const data = program.segments.filter((s) => s.may & MAY.write);
  const base = Math.min(...data.map((s) => s.address));
  const end = align(Math.max(...data.map((s) => s.address + s.size)));
  const started = startedWith(program, end + STACK_BYTES);
  const cluster = new Cluster(clusterText(started, timing), {
    cores: 1,
    tcdm: { base, bytes: end + STACK_BYTES - base },
    main: { base: 0x7fff0000, bytes: 64 },
    timing,
    checked: false,
  });
  for (;;) {
    const stop = cluster.run(0, 1e9);
    if (stop.kind === "exit") return cluster.cycle(0);
    if (stop.kind === "call") cluster.answer(0, 0, cluster.cycle(0));
    else if (stop.kind !== "budget")
      throw new Error(`the program stopped: ${JSON.stringify(stop)}`);
  }
}

const align = (address: number): number => Math.ceil(address / 16) * 16;

/**
 * The program with a stack, which Linux gives to programs of users. Text begins with the entry: what is before it are
 * headers, and no instructions.
 */
function startedWith(program: Executable, stack: number): Executable {
  const [text] = program.segments.filter((s) => !(s.may & MAY.write));
  if (!text) throw new Error("the program has no text");
  const lines = loadConstant(SP, stack);
  const { bytes } = assemble(lines, 0);
  const entry = program.entry - bytes.length;
  const all = Buffer.concat([bytes, text.bytes.subarray(program.entry - text.address)]);
  const rest = program.segments.filter((s) => s !== text);
  return {
    ...program,
    entry,
    segments: [{ ...text, address: entry, bytes: all, size: all.length }, ...rest],
  };
}
