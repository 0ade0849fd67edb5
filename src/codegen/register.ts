/** Registers before allocation: as many as a generator wants, each with the file that it belongs to. */

export type File = "x" | "f" | "v";

export interface Register<F extends File = File> {
  readonly file: F;
  /** Unique in its assembler. */
  readonly id: number;
  /** Registers one after the other that it takes: the LMUL of a vector group, otherwise 1. */
  readonly group: number;
  /** The machine's register, where that is not the allocator's to choose. */
  readonly fixed: number | null;
}

export type X = Register<"x">;
export type F = Register<"f">;
export type V = Register<"v">;

const fixed = <T extends File>(file: T, number: number): Register<T> => ({
  file,
  id: -1 - number - (file === "x" ? 0 : 32),
  group: 1,
  fixed: number,
});

/** The constant 0. */
export const ZERO: X = fixed("x", 0);
/** Where a kernel finds the address of its parameters. */
export const A0: X = fixed("x", 10);
/** Where a kernel finds the number of its core. */
export const A1: X = fixed("x", 11);
export const SP: X = fixed("x", 2);
/** A register that stands for a stream. */
export const ft = (number: 0 | 1 | 2): F => fixed("f", number);
/** Masks of vector instructions. The allocator leaves it alone. */
export const V0: V = fixed("v", 0);

/** Registers that a kernel may use: all but zero, ra, sp, gp and tp; a kernel saves nothing. */
export const ALLOCATABLE: Readonly<Record<File, readonly number[]>> = {
  x: [5, 6, 7, ...upTo(28, 32), ...upTo(10, 18), 8, 9, ...upTo(18, 28)],
  f: upTo(0, 32),
  v: upTo(1, 32),
};

function upTo(from: number, end: number): number[] {
  return Array.from({ length: end - from }, (_, i) => from + i);
}
