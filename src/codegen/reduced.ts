/** What a reduction takes together: index spaces of the axes that go and of those that stay. */

import { sizeOf } from "../tensor/tensor.ts";
import type { KernelRequest, PhaseAssembler } from "./kernel.ts";
import type { X } from "./register.ts";
import { axisOf, given, listed, number } from "./request.ts";
import { byteStrides, coalesced, type Space } from "./walk.ts";

/** What is reduced together, as an index space of one tensor, and the space of what is kept. */
export interface Reduced {
  /** Elements and strides of a set, merged where they can be. */
  readonly set: Space;
  readonly count: number;
  readonly kept: readonly number[];
  readonly strides: readonly number[];
}

export function reducedOf(
  shape: readonly number[],
  axes: readonly number[],
  bytes: number,
): Reduced {
  const strides = byteStrides(shape, bytes);
  const isKept = (_: number, i: number): boolean => !axes.includes(i);
  const isReduced = (_: number, i: number): boolean => axes.includes(i);
  const dims = shape.filter(isReduced);
  return {
    set: coalesced({ dims, strides: [strides.filter(isReduced)] }),
    count: sizeOf(dims),
    kept: shape.filter(isKept),
    strides: strides.filter(isKept),
  };
}

/** Axes from the second operand or, in older files, the attribute; all where none are named. */
export function axesOf(request: KernelRequest): readonly number[] {
  const rank = given(request, 0).shape.length;
  const named = (listed(request, 1, "axes") ?? []).map((a) => axisOf(a, rank));
  if (named.length > 0) return named;
  if (number(request, "noop_with_empty_axes", 0)) return [];
  return Array.from({ length: rank }, (_, i) => i);
}

/** Runs over every row of a set: nested loops around the innermost axis. */
export function eachRowOfSet(
  k: PhaseAssembler,
  { dims, strides: [steps = []] }: Space,
  address: X,
  row: (row: { readonly address: X; readonly step: number }, count: number) => void,
): void {
  const last = dims.length - 1;
  const nest = (axis: number, at: X): void => {
    if (axis === last) {
      row({ address: at, step: steps[last] ?? 0 }, dims[last] ?? 1);
      return;
    }
    const own = k.copy(at);
    k.repeat(dims[axis] ?? 1, () => {
      nest(axis + 1, own);
      k.addTo(own, own, steps[axis] ?? 0);
    });
  };
  nest(0, address);
}
