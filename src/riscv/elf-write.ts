/** Writes an ELF32 executable for RISC-V: segments, sections of their names, symbols. */

import {
  ELF_HEADER_BYTES,
  type ElfSymbol,
  EXECUTABLE,
  LOAD,
  MAY,
  PROGRAM_HEADER_BYTES,
  RISCV,
  SECTION_HEADER_BYTES,
  type Segment,
  SYMBOL_BYTES,
} from "./elf.ts";

/** A segment with the name of the section that shows it: `.text`, `.data`, `.bss`. */
export interface NamedSegment extends Segment {
  readonly name: string;
}

export interface Program {
  readonly entry: number;
  readonly segments: readonly NamedSegment[];
  readonly symbols: readonly ElfSymbol[];
}

const KINDS = { label: 0, object: 1, function: 2 } as const;
const [PROGBITS, SYMTAB, STRTAB, NOBITS] = [1, 2, 3, 8];
const PAGE = 4096;

/** Names one after the other, each ended by 0; `at` gives a name's place. */
function strings(names: readonly string[]): { bytes: Buffer; at: (name: string) => number } {
  const places = new Map<string, number>([["", 0]]);
  const parts = [Buffer.from([0])];
  let length = 1;
  for (const name of names) {
    if (places.has(name)) continue;
    const bytes = Buffer.from(`${name}\0`, "utf8");
    places.set(name, length);
    parts.push(bytes);
    length += bytes.length;
  }
  return { bytes: Buffer.concat(parts), at: (name) => places.get(name) ?? 0 };
}

const words = (...values: readonly number[]): Buffer => {
  const buffer = Buffer.alloc(values.length * 4);
  for (const [i, v] of values.entries()) buffer.writeUInt32LE(v >>> 0, i * 4);
  return buffer;
};

/** One symbol: names of functions, objects and labels are all global. */
function symbol(s: ElfSymbol, name: number, segments: readonly NamedSegment[]): Buffer {
  const inside = segments.findIndex(
    (g) => s.address >= g.address && s.address <= g.address + g.size,
  );
  const bytes = words(name, s.address, s.size, 0);
  bytes.writeUInt8((1 << 4) | KINDS[s.kind], 12);
  bytes.writeUInt16LE(inside < 0 ? 0xfff1 : inside + 1, 14);
  return bytes;
}

/** Offsets congruent to the addresses modulo a page, as loaders want them. */
function placed(segments: readonly NamedSegment[]): readonly number[] {
  let end = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES * segments.length;
  return segments.map((s) => {
    const at = end + ((((s.address - end) % PAGE) + PAGE) % PAGE);
    end = at + s.bytes.length;
    return at;
  });
}

/** The file. Equal programs give equal bytes. */
export function writeElf({ entry, segments, symbols }: Program): Buffer {
  const offsets = placed(segments);
  const names = strings(symbols.map((s) => s.name));
  const table = Buffer.concat([
    Buffer.alloc(SYMBOL_BYTES),
    ...symbols.map((s) => symbol(s, names.at(s.name), segments)),
  ]);
  const sections = strings([...segments.map((s) => s.name), ".symtab", ".strtab", ".shstrtab"]);
  const dataEnd = Math.max(0, ...segments.map((s, i) => (offsets[i] ?? 0) + s.bytes.length));
  const symbolsAt = (dataEnd + 3) & ~3;
  const namesAt = symbolsAt + table.length;
  const sectionNamesAt = namesAt + names.bytes.length;
  const headersAt = (sectionNamesAt + sections.bytes.length + 3) & ~3;
  const count = segments.length;
  const headers = [
    words(0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    ...segments.map((s, i) => section(s, sections.at(s.name), offsets[i] ?? 0)),
    words(
      sections.at(".symtab"),
      SYMTAB,
      0,
      0,
      symbolsAt,
      table.length,
      count + 2,
      1,
      4,
      SYMBOL_BYTES,
    ),
    words(sections.at(".strtab"), STRTAB, 0, 0, namesAt, names.bytes.length, 0, 0, 1, 0),
    words(
      sections.at(".shstrtab"),
      STRTAB,
      0,
      0,
      sectionNamesAt,
      sections.bytes.length,
      0,
      0,
      1,
      0,
    ),
  ];
  const file = Buffer.alloc(headersAt + headers.length * SECTION_HEADER_BYTES);
  header(entry, count, headersAt, headers.length).copy(file);
  segments.forEach((s, i) => {
    const offset = offsets[i] ?? 0;
    programHeader(s, offset).copy(file, ELF_HEADER_BYTES + i * PROGRAM_HEADER_BYTES);
    file.set(s.bytes, offset);
  });
  table.copy(file, symbolsAt);
  names.bytes.copy(file, namesAt);
  sections.bytes.copy(file, sectionNamesAt);
  Buffer.concat(headers).copy(file, headersAt);
  return file;
}

const programHeader = (s: NamedSegment, offset: number): Buffer =>
  words(LOAD, offset, s.address, s.address, s.bytes.length, s.size, s.may, PAGE);

/** Flags of a section: written, takes memory, executed. */
function section(s: NamedSegment, name: number, offset: number): Buffer {
  const flags = (s.may & MAY.write ? 1 : 0) | 2 | (s.may & MAY.execute ? 4 : 0);
  const empty = s.bytes.length === 0;
  return words(name, empty ? NOBITS : PROGBITS, flags, s.address, offset, s.size, 0, 0, 4, 0);
}

/** e_flags stays 0: soft-float calls, no compressed instructions. */
function header(entry: number, segments: number, sectionsAt: number, sections: number): Buffer {
  const h = Buffer.alloc(ELF_HEADER_BYTES);
  h.write("\x7fELF", "latin1");
  h.set([1, 1, 1], 4);
  h.writeUInt16LE(EXECUTABLE, 16);
  h.writeUInt16LE(RISCV, 18);
  words(1, entry, ELF_HEADER_BYTES, sectionsAt, 0).copy(h, 20);
  const sizes = [ELF_HEADER_BYTES, PROGRAM_HEADER_BYTES, segments, SECTION_HEADER_BYTES, sections];
  for (const [i, v] of [...sizes, sections - 1].entries()) h.writeUInt16LE(v, 40 + i * 2);
  return h;
}
