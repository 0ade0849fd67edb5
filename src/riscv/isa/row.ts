/** How a row of the instruction table is written. */

/**
 * Name, operands as GNU as writes them (words are fields of src/riscv/fields.ts), the bits that no operand fills,
 * and what the instruction does: x and f are the register files, m the memory.
 */
export type Row = readonly [name: string, syntax: string, match: number, meaning: string];

/** An instruction set extension: its name in an ISA string and its rows. */
export interface Extension {
  readonly name: string;
  readonly title: string;
  readonly rows: readonly Row[];
}
