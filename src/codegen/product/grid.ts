/** Addresses of the elements of a small block of a matrix, each as a pointer and an offset. */

import type { Assembler } from "../assembler.ts";
import type { X } from "../register.ts";
import { REACH, type Steps } from "./steps.ts";

export interface Spread {
  readonly rows: number;
  readonly columns: number;
  readonly rowStep: number;
  readonly columnStep: number;
}

export type Spot = readonly [offset: number, pointer: X];

/** spots[i][j]. Pointers are new registers; the base is left as it is. */
export function gridOf(k: Assembler, steps: Steps, base: X, s: Spread): readonly Spot[][] {
  if ((s.columns - 1) * s.columnStep > REACH) {
    if ((s.rows - 1) * s.rowStep <= REACH) return flipped(gridOf(k, steps, base, turned(s)), s);
    return Array.from({ length: s.rows }, (_, i) =>
      Array.from({ length: s.columns }, (_, j): Spot => {
        return [0, k.add(base, i * s.rowStep + j * s.columnStep)];
      }),
    );
  }
  const width = (s.columns - 1) * s.columnStep;
  const each = s.rowStep === 0 ? s.rows : 1 + Math.floor((REACH - width) / s.rowStep);
  const spots: Spot[][] = [];
  let pointer = base;
  for (let i = 0; i < s.rows; i++) {
    if (i > 0 && i % each === 0) pointer = steps.beyond(pointer, each * s.rowStep);
    const [at, offset] = [pointer, (i % each) * s.rowStep];
    spots.push(Array.from({ length: s.columns }, (_, j): Spot => [offset + j * s.columnStep, at]));
  }
  return spots;
}

const turned = (s: Spread): Spread => ({
  rows: s.columns,
  columns: s.rows,
  rowStep: s.columnStep,
  columnStep: s.rowStep,
});

const flipped = (spots: readonly Spot[][], s: Spread): readonly Spot[][] =>
  Array.from({ length: s.rows }, (_, i) =>
    Array.from({ length: s.columns }, (_, j) => (spots[j] as Spot[])[i] as Spot),
  );
