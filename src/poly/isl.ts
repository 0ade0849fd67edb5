/** Relations and regions in the notation of isl, for people and for isl itself. */

import type { Domain, Relation, Select } from "../artifact/schedule.ts";
import { blocksOf, type Side } from "./domain.ts";
import { showFloor } from "./floor.ts";

/** `{ [b, t] -> [b, min(3, floor((2t + 1)/4))] : 0 <= b < 2 and 0 <= t < 7 }` */
export function showRelation(relation: Relation, from: Domain, to: Domain): string {
  const batch = { same: "b", first: "0", last: String(to.batch - 1) }[relation.batch];
  return `{ [b, t] -> [${batch}, ${showToken(relation.token, to)}] : ${showDomain(from)} }`;
}

function showToken(token: Relation["token"], to: Domain): string {
  const last = blocksOf(to) - 1;
  if (token === "first") return "0";
  if (token === "last") return String(last);
  return `max(0, min(${last}, ${showFloor(token)}))`;
}

const showDomain = (d: Domain): string => `0 <= b < ${d.batch} and 0 <= t < ${blocksOf(d)}`;

/** From iterations to the elements of a buffer of this shape that they touch. */
export function showRegion({ domain, select }: Side, shape: readonly number[]): string {
  const names = select.map((_, i) => `i${i}`);
  const constraints = select.map((s, i) => {
    const size = shape[i] ?? 0;
    return `0 <= i${i} < ${size} and exists (k : ${touches(s, domain)} and i${i} = k)`;
  });
  const all = [showDomain(domain), ...constraints].join(" and ");
  return `{ [b, t] -> [${names.join(", ")}] : ${all} }`;
}

/** Which k iteration (b, t) touches, stated from the definition of each selection. */
function touches(s: Select, { tokens, block }: Domain): string {
  const own = (k: string): string =>
    `${block}t <= ${k} < ${block}t + ${block} and ${k} < ${tokens}`;
  if (s === "all") return "true";
  if (s === "batch") return "k = b";
  if (s === "token") return own("k");
  if (s === "row") return `exists (s : ${own("s")} and k = ${tokens}b + s)`;
  if ("upto" in s) return `exists (s : ${own("s")} and k <= s + ${s.upto})`;
  const { window, offset } = s;
  return `exists (s : ${own("s")} and s + ${offset} - ${window} < k <= s + ${offset})`;
}
