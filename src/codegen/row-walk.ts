/** Code for every row of a tensor: the rows are shared by the cores, and none is divided. */

import type { PhaseAssembler } from "./kernel.ts";
import type { X } from "./register.ts";
import { eachRun, type Walker } from "./walk.ts";

/** Calls `row` with the place of each tensor, for every index of a space; the registers must be left as they are. */
export function eachIndex(
  k: PhaseAssembler,
  shape: readonly number[],
  walkers: readonly Walker[],
  row: (at: readonly X[]) => void,
): void {
  eachRun(k, shape, walkers, ({ at, steps, count }) => {
    k.repeat(count, () => {
      row(at);
      for (const [i, p] of at.entries()) {
        const step = steps[i] ?? 0;
        if (step !== 0) k.addTo(p, p, step);
      }
    });
  });
}
