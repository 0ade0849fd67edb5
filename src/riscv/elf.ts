/** ELF32 for RISC-V: the layout that the writer and the reader share. Source: System V ABI, "Object Files". */

export const ELF_HEADER_BYTES = 52;
export const PROGRAM_HEADER_BYTES = 32;
export const SECTION_HEADER_BYTES = 40;
export const SYMBOL_BYTES = 16;

export const EXECUTABLE = 2;
export const RISCV = 243;
export const LOAD = 1;

/** What a segment's memory may be used for: bits of p_flags. */
export const MAY = { execute: 1, write: 2, read: 4 } as const;

/** A range of memory that a program fills when it is loaded: `bytes`, then zeros up to `size`. */
export interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly size: number;
  /** Sum of bits of MAY. */
  readonly may: number;
}

export interface ElfSymbol {
  readonly name: string;
  readonly address: number;
  readonly size: number;
  readonly kind: "function" | "object" | "label";
}

export interface Executable {
  readonly entry: number;
  readonly segments: readonly Segment[];
  readonly symbols: readonly ElfSymbol[];
}
