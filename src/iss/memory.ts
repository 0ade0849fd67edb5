/** The memory of a program in user mode: what it loads, a heap, a stack, and what is at the top of that. */

import { fail, inFile } from "../diag/diagnostic.ts";
import { type Executable, MAY, type Segment } from "../riscv/elf.ts";

const PAGE = 4096;
const MIB = 2 ** 20;
/** A program in user mode that is larger than this is a mistake. */
const MOST_MIB = 1024;

export interface MemoryMap {
  readonly base: number;
  readonly bytes: number;
  /** Below this address nothing may be written. */
  readonly writeBase: number;
  readonly textBase: number;
  readonly textBytes: number;
  /** First address behind what the program loads. */
  readonly heap: number;
}

/** Errors: A605 where segments overlap or the program does not fit. */
export function mapMemory(program: Executable, roomMiB: number, file: string): MemoryMap {
  const sorted = program.segments.toSorted((a, b) => a.address - b.address);
  const overlap = sorted.find((s, i) => s.address < end(sorted[i - 1]));
  const small = "link it with fewer gaps between its segments, or give less --memory";
  if (overlap) {
    const where = `0x${overlap.address.toString(16)}`;
    fail("A605", `two segments of the program share the address ${where}`, inFile(file), small);
  }
  const base = (sorted[0]?.address ?? 0) & -PAGE;
  const heap = Math.ceil(end(sorted.at(-1)) / PAGE) * PAGE;
  const bytes = heap - (base >>> 0) + roomMiB * MIB;
  if (bytes > MOST_MIB * MIB || (base >>> 0) + bytes > 2 ** 32) {
    const need = Math.ceil(bytes / MIB);
    const text = `the program spans ${need} MiB from 0x${(base >>> 0).toString(16)}; there are ${MOST_MIB}`;
    fail("A605", text, inFile(file), small);
  }
  const text = sorted.filter((s) => s.may & MAY.execute);
  const textBase = (text[0]?.address ?? heap) & -4;
  const textBytes = Math.max(0, end(text.at(-1)) - (textBase >>> 0));
  return {
    base: base >>> 0,
    bytes,
    writeBase: writable(sorted, base >>> 0),
    textBase: textBase >>> 0,
    textBytes,
    heap,
  };
}

const end = (s: Segment | undefined): number => (s ? s.address + s.size : 0);

/** Where the segments that may not be written come first, as linkers place them, they are kept from writes. */
function writable(sorted: readonly Segment[], base: number): number {
  const first = sorted.findIndex((s) => s.may & MAY.write);
  const others = first < 0 ? sorted : sorted.slice(first);
  if (first >= 0 && others.some((s) => !(s.may & MAY.write))) return base;
  return first < 0 ? end(sorted.at(-1)) : (sorted[first]?.address ?? base);
}

/** The words from the stack pointer on that Linux gives a program: arguments, no environment, the page size. */
export function initialStack(args: readonly string[], top: number): { sp: number; bytes: Buffer } {
  const texts = Buffer.from(args.map((a) => `${a}\0`).join(""), "utf8");
  const textsAt = (top - texts.length) & -16;
  let at = textsAt;
  const pointers = args.map((a) => {
    const here = at;
    at += Buffer.byteLength(a, "utf8") + 1;
    return here;
  });
  const [pageSize, none] = [6, 0];
  const words = [args.length, ...pointers, 0, 0, pageSize, PAGE, none, 0];
  const sp = (textsAt - words.length * 4) & -16;
  const bytes = Buffer.alloc((textsAt >>> 0) - (sp >>> 0) + texts.length);
  for (const [i, w] of words.entries()) bytes.writeUInt32LE(w >>> 0, i * 4);
  texts.copy(bytes, (textsAt >>> 0) - (sp >>> 0));
  return { sp: sp >>> 0, bytes };
}
