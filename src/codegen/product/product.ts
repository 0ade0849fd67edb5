/**
 * What a matrix product is to machine code: numbers of steps in bytes, so that every layout, transposed or not, is the
 * same thing. out[i, j] = alpha · Σ rows[i, k] · columns[k, j] (+ beta · addend[i, j]), in single precision, fused.
 */

import type { X } from "../register.ts";

/** One of the two operands, and how the result's rows or columns follow it. */
export interface Side {
  /** How many rows the result has of this side, or columns. */
  readonly size: number;
  /** From one to the next in the operand, in the result and in the addend. */
  readonly step: number;
  readonly out: number;
  readonly addend: number;
  /** From one element to the next along the axis that is summed. */
  readonly along: number;
}

export interface Product {
  readonly rows: Side;
  readonly columns: Side;
  /** Elements that are summed. */
  readonly depth: number;
  readonly alpha: number;
  /** What the addend counts; null without one. */
  readonly beta: number | null;
}

/** Where a product, or a tile of it, begins. */
export interface Places {
  readonly rows: X;
  readonly columns: X;
  readonly out: X;
  /** Where there is no addend, anything. */
  readonly addend: X;
  /** How many elements along the summed axis count, at least one; all where it is left out. */
  readonly depth?: X | undefined;
}

export const WORD = 4;

/** Sides in the other order: the same product, transposed. */
export const swapped = (p: Product): Product => ({ ...p, rows: p.columns, columns: p.rows });
