/** What iterations touch, element by element, read off the definitions in schedule.ts and nothing else. */

import type { Domain, Select } from "../../src/artifact/schedule.ts";

/** Index k of an axis is touched by iteration (b, t). */
function touches(s: Select, d: Domain, b: number, t: number, k: number): boolean {
  const first = t * d.block;
  const last = Math.min(d.tokens, first + d.block) - 1;
  if (s === "all") return true;
  if (s === "batch") return k === b;
  if (s === "token") return first <= k && k <= last;
  if (s === "row") return b * d.tokens + first <= k && k <= b * d.tokens + last;
  if ("upto" in s) return k <= last + s.upto;
  return first + s.offset - s.window + 1 <= k && k <= last + s.offset;
}

/** The elements, as "i,j,…", of a region in iteration `i` of an inference. */
export function elements(
  domain: Domain,
  select: readonly Select[],
  shape: readonly (number | null)[],
  i: number,
): Set<string> {
  const n = Math.ceil(domain.tokens / domain.block);
  let found: number[][] = [[]];
  for (const [axis, size] of shape.entries()) {
    const s = select[axis] ?? "all";
    const hits = [...Array(size ?? 1).keys()].filter((k) =>
      touches(s, domain, Math.floor(i / n), i % n, k),
    );
    found = found.flatMap((prefix) => hits.map((k) => [...prefix, k]));
  }
  return new Set(found.map((e) => e.join(",")));
}
