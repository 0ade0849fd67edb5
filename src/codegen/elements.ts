/** Code for each element of a result, with those that its operands have at the same place. */

import { bytesPer } from "../tensor/tensor.ts";
import type { PhaseAssembler } from "./kernel.ts";
import type { X } from "./register.ts";
import { given, presentOf, wanted } from "./request.ts";
import { unrolled } from "./unrolled.ts";
import { broadcastStrides, byteStrides, eachRun, type Run, type Walker } from "./walk.ts";

/** Where an element lies: an offset and an address, as loads and stores take them. */
export type Spot = readonly [number, X];

/** An element of the result, and those of the operands. */
export type Body = (to: Spot, from: readonly Spot[]) => void;

/** The first operands repeated over the first result, and that result behind them. */
export function walkersOf(k: PhaseAssembler, operands: number): readonly Walker[] {
  const y = wanted(k.request);
  const repeated = Array.from({ length: operands }, (_, i): Walker => {
    const { elem, shape } = given(k.request, i);
    return { address: k.operand(i), strides: broadcastStrides(shape, y.shape, bytesPer(elem)) };
  });
  const strides = byteStrides(y.shape, bytesPer(y.elem));
  return [...repeated, { address: k.result(0), strides }];
}

/**
 * The body that `prepare` gives is written for each element, several in a turn of a loop; `prepare` is told where the
 * operands begin that are the same in all of a run, and null for the others. `work` counts the loads of a body.
 */
export function eachElement(
  k: PhaseAssembler,
  operands: number,
  work: number,
  prepare: (fixed: readonly (Spot | null)[]) => Body,
): void {
  eachRun(k, wanted(k.request).shape, walkersOf(k, operands), (run) => {
    const { at, steps } = run;
    const fixed = at.map((p, i): Spot | null => (steps[i] === 0 ? [0, p] : null));
    const body = prepare(fixed.slice(0, operands));
    unrolled(
      k,
      run,
      (offsets) => {
        const spots = spotsOf(run, offsets);
        body(spots[operands] as Spot, spots);
      },
      work,
    );
  });
}

/**
 * The body for each element of the result and of all operands that are there, which are as wide; one in a turn, since
 * what it does is long.
 */
export function eachWithPresent(k: PhaseAssembler, body: Body): void {
  const y = wanted(k.request);
  const bytes = bytesPer(y.elem);
  const output = { address: k.result(0), strides: byteStrides(y.shape, bytes) };
  const inputs = presentOf(k.request).map((i) => ({
    address: k.operand(i),
    strides: broadcastStrides(given(k.request, i).shape, y.shape, bytes),
  }));
  eachRun(k, y.shape, [output, ...inputs], (run) => {
    unrolled(
      k,
      run,
      (offsets) => {
        const [to, ...from] = spotsOf(run, offsets);
        body(to as Spot, from);
      },
      LONG,
    );
  });
}

/** So many loads fill a turn. */
const LONG = 8;

const spotsOf = ({ at }: Run, offsets: readonly number[]): readonly Spot[] =>
  at.map((p, i) => [offsets[i] ?? 0, p]);
