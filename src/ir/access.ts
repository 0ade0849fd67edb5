/**
 * How the elements of a result depend on the elements of an operand, axis by axis: what the pipeline
 * analysis needs to know about an operation, and all it knows.
 *
 * An operand's access has one entry per axis of the operand. With r the index of a result element:
 * - point:  the operand index equals r[axis];
 * - all:    every index of the operand's axis is read, whatever r is;
 * - prefix: indices 0 ..= r[axis] + offset are read (causal attention over keys);
 * - window: indices r[axis] + offset - width + 1 ..= r[axis] + offset are read;
 * - merge:  the operand index equals the sum of stride * r[axis] over the terms (result axes
 *           that the operand holds flattened into one);
 * - digit:  the operand index equals floor(r[axis] / stride) mod extent (an axis of the operand that
 *           the result holds flattened with others).
 */
export type AxisAccess =
  | { readonly kind: "point"; readonly axis: number }
  | { readonly kind: "all" }
  | { readonly kind: "prefix"; readonly axis: number; readonly offset: number }
  | {
      readonly kind: "window";
      readonly axis: number;
      readonly offset: number;
      readonly width: number;
    }
  | { readonly kind: "merge"; readonly terms: readonly { axis: number; stride: number }[] }
  | {
      readonly kind: "digit";
      readonly axis: number;
      readonly stride: number;
      readonly extent: number;
    };

/** One entry per operand of the operation (null for an absent one); axes refer to result 0. */
export type Access = readonly (readonly AxisAccess[] | null)[];

export const ALL: AxisAccess = { kind: "all" };
export const point = (axis: number): AxisAccess => ({ kind: "point", axis });

/** Every axis of an operand of this rank, in full. */
export const whole = (rank: number): readonly AxisAccess[] => new Array(rank).fill(ALL);

/** Numpy broadcasting: axes align at the end, and an axis of size 1 is read in full. */
export function broadcast(
  operand: readonly (number | null)[],
  result: readonly (number | null)[],
): readonly AxisAccess[] {
  const shift = result.length - operand.length;
  return operand.map((d, i) => (d === 1 ? ALL : point(i + shift)));
}
