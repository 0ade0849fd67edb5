/** Loops over runs of elements that do several in a turn. */

import type { PhaseAssembler } from "./kernel.ts";
import type { Run } from "./walk.ts";

/** Loads and stores that a turn should have, and the bytes that an element may reach behind its beginning. */
const WORK = 8;
const ELEMENT = 64;
const LARGEST_IMMEDIATE = 2047;

/**
 * `body` for every element of a run; it gets the offset of its element from each address of the run, all of which are moved
 * on. `work` says how many loads it makes: of little work more is done in a turn.
 */
export function unrolled(
  k: PhaseAssembler,
  { at: addresses, steps, count }: Run,
  body: (offsets: readonly number[]) => void,
  work = 1,
): void {
  const places = addresses.map((at, i) => ({ at, step: steps[i] ?? 0 }));
  const turn = Math.max(1, Math.floor(WORK / work));
  if (typeof count === "number" && count <= 1) {
    if (count === 1) body(places.map(() => 0));
    return;
  }
  const isFar = ({ step }: { readonly step: number }): boolean =>
    Math.abs(step) * turn + ELEMENT > LARGEST_IMMEDIATE;
  // What no offset reaches is moved after each element, by a register that is set before the loop.
  const far = places.filter(isFar).map(({ at, step }) => ({ at, by: k.li(step) }));
  const near = places.filter((p) => !isFar(p) && p.step !== 0);
  const some = (n: number): void => {
    for (let i = 0; i < n; i++) {
      body(places.map((p) => (isFar(p) ? 0 : i * p.step)));
      for (const { at, by } of far) k.addTo(at, at, by);
    }
    for (const { at, step } of near) k.addTo(at, at, n * step);
  };
  if (typeof count === "number") {
    k.repeat(Math.floor(count / turn), () => some(turn));
    if (count % turn > 0) some(count % turn);
    return;
  }
  if (turn > 1) k.repeat(k.div(count, turn), () => some(turn));
  k.repeat(turn > 1 ? k.rem(count, turn) : count, () => some(1));
}
