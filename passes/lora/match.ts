/** Which linear a module of an adapter belongs to, by the ends of their paths. */

import type { Op } from "../../src/ir/op.ts";

/**
 * For each adapter module the linears that it fits: those whose path equals its own, or else those whose
 * path is the longest that ends it, or is ended by it (exporters drop or add leading segments).
 */
export function matchModules(
  modules: readonly string[],
  linears: readonly Op[],
): ReadonlyMap<string, readonly Op[]> {
  return new Map(modules.map((m) => [m, fitting(m, linears)]));
}

export const pathOf = (op: Op): string => {
  const path = op.attrs["module"];
  return typeof path === "string" ? path : "";
};

function fitting(module: string, linears: readonly Op[]): readonly Op[] {
  const common = linears.map((op) => commonEnd(module, pathOf(op)));
  const longest = Math.max(0, ...common);
  return longest === 0 ? [] : linears.filter((_, i) => common[i] === longest);
}

/** Segments that two paths share at their ends, when the shorter is all of that end; else 0. */
function commonEnd(a: string, b: string): number {
  if (a === "" || b === "") return 0;
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  return short === long || long.endsWith(`.${short}`) ? short.split(".").length : 0;
}
