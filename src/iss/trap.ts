/** What a program did that it may not do, in words. */

import { fail, inFile } from "../diag/diagnostic.ts";
import { disassemble } from "../riscv/disassemble.ts";
import type { ElfSymbol } from "../riscv/elf.ts";
import { STOP } from "./interpreter.ts";
import type { MemoryMap } from "./memory.ts";
import { fetch } from "./predecode.ts";

export interface Trap {
  readonly cause: number;
  readonly pc: number;
  /** The address at fault, where there is one. */
  readonly address: number;
  readonly text: DataView;
  readonly map: MemoryMap;
  readonly symbols: readonly ElfSymbol[];
  readonly file: string;
}

const hex = (n: number): string => `0x${(n >>> 0).toString(16)}`;

/** Errors: A603, always. */
export function explainTrap(trap: Trap): never {
  const [what, hint] = words(trap);
  const found = fetch(trap.text, trap.pc - trap.map.textBase);
  const instruction = found ? ` (${disassemble(found.word, trap.pc)})` : "";
  const text = `${what}, at ${placeInText(trap.pc, trap.symbols)}${instruction}`;
  return fail("A603", text, inFile(trap.file), hint);
}

function words({ cause, address, map }: Trap): readonly [what: string, hint: string] {
  const memory = `the program's memory is ${hex(map.base)} to ${hex(map.base + map.bytes - 1)}`;
  switch (cause) {
    case STOP.load:
      return [`the program read outside of its memory, at ${hex(address)}`, memory];
    case STOP.store:
      return [
        address >= map.base && address < map.writeBase
          ? `the program wrote to memory that may only be read, at ${hex(address)}`
          : `the program wrote outside of its memory, at ${hex(address)}`,
        memory,
      ];
    case STOP.fetch:
      return [
        `the program jumped to ${hex(address)}, where it has no instructions`,
        "look for a wrong function pointer or a damaged return address; aimcc runs text that is loaded from the file",
      ];
    case STOP.misaligned:
      return [
        `an atomic access or a stream at ${hex(address)} is not aligned`,
        "align the words to four bytes",
      ];
    case STOP.stream:
      return [`the program ${streamFault(address)}`, "docs/streams.md says what streams may do"];
    case STOP.breakpoint:
      return ["the program hit a breakpoint", "take the ebreak out, or run it in a debugger"];
    case STOP.service:
      return [
        "the program asked for a tile or a service of a cluster; one that runs alone has none",
        "run the artifact that it belongs to",
      ];
    default:
      return [
        "the program has an instruction that this machine does not know",
        "aimcc knows RV32IMAFC with Zicsr, Zifencei, Zba, Zbb, Zfh and Zve32f in user mode: give gcc such a -march",
      ];
  }
}

/** What a program did wrong with a stream, or while instructions were repeated: kinds of streams.as.ts. */
export function streamFault(value: number): string {
  const stream = `stream ft${value & 3}`;
  return (
    [
      `read ${stream}, which has no element left`,
      `wrote to ${stream}, which has no element left`,
      `changed ${stream}, which has elements left`,
      "repeated an instruction that does not compute on floats alone",
      "loaded or stored a register that stands for a stream",
    ][value >> 2] ?? "misused a stream"
  );
}

/** An address with the symbol that it belongs to. */
export function placeInText(pc: number, symbols: readonly ElfSymbol[]): string {
  const before = symbols
    .filter(
      (s) => s.address <= pc && s.kind !== "object" && (s.size === 0 || pc < s.address + s.size),
    )
    .toSorted((a, b) => a.address - b.address)
    .at(-1);
  if (!before) return hex(pc);
  return `${hex(pc)} in ${before.name}${pc === before.address ? "" : ` + ${hex(pc - before.address)}`}`;
}
