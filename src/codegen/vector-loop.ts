/** A loop over vectors of whatever length the core gives. */

import type { Assembler } from "./assembler.ts";
import { type X, ZERO } from "./register.ts";

/** LMUL: registers of a group. */
export type Group = 1 | 2 | 4 | 8;

/** Elements behind the end, and masked ones, may become anything. */
const AGNOSTIC = 0xc0;

/** What happens to elements behind the end: anything, or nothing. */
type Tail = "agnostic" | "undisturbed";

/** The vtype of elements of so many bytes in groups of so many registers. */
export const vtypeOf = (bytes: 1 | 2 | 4, group: Group, tail: Tail = "agnostic"): number =>
  (tail === "agnostic" ? AGNOSTIC : 0) | (Math.log2(bytes) << 3) | Math.log2(group);

/** `body` for as many elements at a time as a group holds; it is told how many. `count` is at least 1. */
export function vectorLoop(
  k: Assembler,
  count: number | X,
  bytes: 1 | 2 | 4,
  group: Group,
  body: (vl: X) => void,
  tail: Tail = "agnostic",
): void {
  const left = typeof count === "number" ? k.li(count) : k.copy(count);
  const again = k.newLabel();
  k.label(again);
  const vl = k.x("vsetvli", left, vtypeOf(bytes, group, tail));
  body(vl);
  k.to(left, "sub", left, vl);
  k.back("ne", left, ZERO, again);
}
