/** vsetvli: how many elements of 32 bits vector instructions take, in groups of how many registers. */

import type { Assembler } from "./assembler.ts";
import { type X, ZERO } from "./register.ts";

const SEW32 = 2 << 3;
const AGNOSTIC = 0xc0;
const MOST_IMMEDIATE = 31;

/** What happens to elements behind the length: anything, or nothing. */
export type Tail = "agnostic" | "undisturbed";

/** `count` has to fit into the group. */
export function setLength(
  k: Assembler,
  count: number | X,
  group: number,
  tail: Tail = "agnostic",
): void {
  const vtype = SEW32 | Math.log2(group) | (tail === "agnostic" ? AGNOSTIC : 0);
  if (typeof count !== "number") k.emit("vsetvli", ZERO, count, vtype);
  else if (count <= MOST_IMMEDIATE) k.emit("vsetivli", ZERO, count, vtype);
  else k.emit("vsetvli", ZERO, k.li(count), vtype);
}
