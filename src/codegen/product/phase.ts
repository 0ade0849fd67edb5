/** Products as a phase of a kernel: every core takes its share of the tiles. */

import type { Isa } from "../isa.ts";
import type { Phase, PhaseAssembler } from "../kernel.ts";
import type { X } from "../register.ts";
import type { Places } from "./product.ts";
import { multiply, stackOf } from "./tiles.ts";
import { type Contraction, type StackAxis, stacked } from "./view.ts";

/** Where the values of a contraction lie. */
export interface Sources {
  readonly a: (k: PhaseAssembler) => X;
  readonly b: (k: PhaseAssembler) => X;
  readonly out: (k: PhaseAssembler) => X;
  readonly c?: (k: PhaseAssembler) => X;
}

/** A phase that computes a contraction. */
export function contraction(of: Contraction, from: Sources, isa: Isa, cores: number): Phase {
  const { product, axes, empty } = stacked(of);
  if (empty) return () => {};
  const count = axes.reduce((n, { size }) => n * size, 1);
  const stack = stackOf(product, isa, cores, count);
  return (k) => {
    const [rows, columns, out] = [from.a(k), from.b(k), from.out(k)];
    const base = { rows, columns, out, addend: from.c?.(k) ?? out };
    const part = k.share(stack.tiles * count);
    multiply(k, stack, (index) => placesAt(k, base, axes, index), part);
  };
}

/** Where product `index` of a stack begins. */
function placesAt(k: PhaseAssembler, base: Places, axes: readonly StackAxis[], index: X): Places {
  if (axes.length === 0) return base;
  const at = {
    rows: k.copy(base.rows),
    columns: k.copy(base.columns),
    out: k.copy(base.out),
    addend: k.copy(base.addend),
  };
  let rest = index;
  for (const [i, axis] of axes.toReversed().entries()) {
    const isFirst = i === axes.length - 1;
    const digit = isFirst ? rest : k.rem(rest, axis.size);
    for (const value of ["rows", "columns", "out", "addend"] as const) {
      const step = axis[value];
      if (step !== 0) k.to(at[value], "add", at[value], k.mul(digit, step));
    }
    if (!isFirst) rest = k.div(rest, axis.size);
  }
  return at;
}
