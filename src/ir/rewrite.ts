/** The few ways in which passes make new modules from old ones. Nothing here changes its arguments. */

import type { OpDef } from "./define.ts";
import type { Attrs, Module, Op, Value } from "./op.ts";

/** The operations that read each value, in module order; an operation appears once per value. */
export function usersOf(module: Module): ReadonlyMap<Value, readonly Op[]> {
  const users = new Map<Value, Op[]>();
  for (const op of module.ops) {
    for (const v of new Set(op.operands)) {
      if (v === null) continue;
      const list = users.get(v);
      if (list) list.push(op);
      else users.set(v, [op]);
    }
  }
  return users;
}

/** The operation that defines each value; graph inputs are absent. */
export function producersOf(module: Module): ReadonlyMap<Value, Op> {
  return new Map(module.ops.flatMap((op) => op.results.map((r) => [r, op] as const)));
}

/** Drops operations whose results nobody reads. Operations with an effect stay. */
export function removeDead(module: Module, defs: ReadonlyMap<string, OpDef>): Module {
  const live = new Set<Value>(module.outputs.map((p) => p.value));
  const kept: Op[] = [];
  for (const op of module.ops.toReversed()) {
    const needed = defs.get(op.kind)?.effect === true || op.results.some((r) => live.has(r));
    if (!needed) continue;
    kept.push(op);
    for (const v of op.operands) if (v) live.add(v);
  }
  return { ...module, ops: kept.reverse() };
}

/**
 * Gives names that the module does not use yet: `base`, `base_1`, `base_2`, … A name that begins with
 * a digit would have to be a number in the text of the IR, so it gets a letter.
 */
export function freshNames(module: Module): (base: string) => string {
  const taken = new Set<string>();
  for (const p of module.inputs) taken.add(p.value.id);
  for (const op of module.ops) for (const r of op.results) taken.add(r.id);
  // Where the search for a name ended: a thousand experts ask for the same base.
  const next = new Map<string, number>();
  return (wanted) => {
    const base = /^\d/.test(wanted) ? `v${wanted}` : wanted;
    let name = base;
    let k = next.get(base) ?? 1;
    for (; taken.has(name); k++) name = `${base}_${k}`;
    next.set(base, k);
    taken.add(name);
    return name;
  };
}

/** The union of origins, in order, each name once. */
export const originOf = (...ops: readonly Op[]): readonly string[] => [
  ...new Set(ops.flatMap((op) => op.origin)),
];

/** The same operation with some attributes set. */
export const withAttrs = (op: Op, attrs: Attrs): Op => ({
  ...op,
  attrs: { ...op.attrs, ...attrs },
});
