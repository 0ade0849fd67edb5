/** What constant attention masks say. */

import { sizeOf } from "../../src/tensor/tensor.ts";

/** Which keys a query may see, when that is all the mask says. */
export interface Visibility {
  readonly causal: boolean;
  readonly window?: number;
}

/**
 * A score this low leaves nothing after softmax: exp(-1e4) is zero in float32, and in float64, beside
 * any score that a network computes.
 */
export const HIDDEN = -1e4;

/**
 * The flags (true: visible) of a mask that broadcasts to [..., Sq, Sk] as one list [Sq · Sk]; null when
 * its matrices differ or have another shape.
 */
export function visibleKeys(
  shape: readonly number[],
  flags: readonly boolean[],
  queries: number,
  keys: number,
): readonly boolean[] | null {
  const [rows = 1, columns = 1] = [1, 1, ...shape].slice(-2);
  if ((rows !== 1 && rows !== queries) || (columns !== 1 && columns !== keys)) return null;
  const count = sizeOf(shape) / (rows * columns);
  const [first, ...others] = Array.from({ length: count }, (_, m) =>
    Array.from({ length: queries * keys }, (_, at) => {
      const i = rows === 1 ? 0 : Math.floor(at / keys);
      const j = columns === 1 ? 0 : at % keys;
      return flags[(m * rows + i) * columns + j] ?? false;
    }),
  );
  if (!first || others.some((m) => m.some((v, i) => v !== first[i]))) return null;
  return first;
}

/** Causal, with the width of its window if it has one; null when it is neither, or a row sees nothing. */
export function pattern(
  visible: readonly boolean[],
  queries: number,
  keys: number,
): Visibility | null {
  if (visible.every((v) => v)) return { causal: queries === 1 };
  const offset = keys - queries;
  if (offset < 0) return null;
  const lastRow = visible.slice((queries - 1) * keys);
  const width = keys - lastRow.indexOf(true);
  const expected = (i: number, j: number) => j <= i + offset && j > i + offset - width;
  const holds = visible.every((v, at) => v === expected(Math.floor(at / keys), at % keys));
  if (!holds || !lastRow.includes(true)) return null;
  return width < keys ? { causal: true, window: width } : { causal: true };
}
