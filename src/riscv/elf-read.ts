/** Reads an ELF32 executable for RISC-V. The file is a stranger's: every offset and size is checked. */

import { fail, inFile } from "../diag/diagnostic.ts";
import {
  ELF_HEADER_BYTES,
  type ElfSymbol,
  EXECUTABLE,
  type Executable,
  LOAD,
  PROGRAM_HEADER_BYTES,
  RISCV,
  SECTION_HEADER_BYTES,
  type Segment,
  SYMBOL_BYTES,
} from "./elf.ts";

const BUILD =
  "give a static executable: riscv64-unknown-elf-gcc -march=rv32imaf -mabi=ilp32f -static";

/** Errors: A601 for a file that is no executable for RV32, A602 for a damaged one. */
export function readElf(bytes: Buffer, file: string): Executable {
  const damaged = (what: string): never =>
    fail(
      "A602",
      `the ELF file is damaged: ${what}`,
      inFile(file),
      "build or copy the program again",
    );
  checkKind(bytes, file);
  if (bytes.length < ELF_HEADER_BYTES) damaged("its header is cut off");
  const count = bytes.readUInt16LE(44);
  const headers = table(bytes, bytes.readUInt32LE(28), count, PROGRAM_HEADER_BYTES);
  if (headers === null) return damaged("its program headers lie outside of it");
  const segments = headers.flatMap((h) => segment(bytes, h, damaged));
  if (segments.length === 0) damaged("it loads nothing");
  const entry = bytes.readUInt32LE(24);
  return { entry, segments, symbols: symbols(bytes) };
}

function checkKind(bytes: Buffer, file: string): void {
  const no = (what: string): never => fail("A601", `this file ${what}`, inFile(file), BUILD);
  if (bytes.toString("latin1", 0, 4) !== "\x7fELF") no("is no ELF file");
  if (bytes.length < 20) no("ends within the ELF header");
  if (bytes[4] !== 1) no("is an ELF file of 64 bits; RV32 programs have 32");
  if (bytes[5] !== 1) no("is a big-endian ELF file; RISC-V is little-endian");
  if (bytes.readUInt16LE(18) !== RISCV) {
    no(`is an ELF file for machine ${bytes.readUInt16LE(18)}, not RISC-V (${RISCV})`);
  }
  const type = bytes.readUInt16LE(16);
  if (type !== EXECUTABLE) {
    no(type === 1 ? "is an object file that has not been linked" : "is no static executable");
  }
}

/** The entries of a table, or null where it is not inside of the file. */
function table(bytes: Buffer, at: number, count: number, size: number): readonly Buffer[] | null {
  if (at + count * size > bytes.length) return null;
  return Array.from({ length: count }, (_, i) =>
    bytes.subarray(at + i * size, at + (i + 1) * size),
  );
}

function segment(bytes: Buffer, h: Buffer, damaged: (what: string) => never): readonly Segment[] {
  const word = (i: number): number => h.readUInt32LE(i * 4);
  const [offset, address, filed, size, may] = [word(1), word(2), word(4), word(5), word(6)];
  if (word(0) !== LOAD || size === 0) return [];
  if (offset + filed > bytes.length) damaged("a segment lies outside of it");
  if (filed > size) damaged("a segment has more bytes than memory");
  if (address + size > 2 ** 32) damaged("a segment ends behind the last address");
  return [{ address, bytes: bytes.subarray(offset, offset + filed), size, may }];
}

/** Symbols only name places in messages, so a file whose table is damaged has none. */
function symbols(bytes: Buffer): readonly ElfSymbol[] {
  const sections = table(
    bytes,
    bytes.readUInt32LE(32),
    bytes.readUInt16LE(48),
    SECTION_HEADER_BYTES,
  );
  const found = sections?.find((s) => s.readUInt32LE(4) === 2);
  const names = found && sections?.[found.readUInt32LE(24)];
  if (!found || !names) return [];
  const count = Math.floor(found.readUInt32LE(20) / SYMBOL_BYTES);
  const text = bytes.subarray(
    names.readUInt32LE(16),
    names.readUInt32LE(16) + names.readUInt32LE(20),
  );
  return (table(bytes, found.readUInt32LE(16), count, SYMBOL_BYTES) ?? []).flatMap((s) => {
    const at = s.readUInt32LE(0);
    const end = text.indexOf(0, at);
    if (at === 0 || end < 0) return [];
    const kind = ({ 0: "label", 1: "object", 2: "function" } as const)[s.readUInt8(12) & 15];
    if (kind === undefined || s.readUInt16LE(14) === 0) return [];
    const name = text.toString("utf8", at, end);
    return [{ name, address: s.readUInt32LE(4), size: s.readUInt32LE(8), kind }];
  });
}
