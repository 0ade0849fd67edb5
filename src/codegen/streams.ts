/**
 * Streams in registers (Xssr) and repetitions (Xfrep), as kernels use them: an affine walk over memory becomes the
 * elements that a register gives or takes, one after the other. docs/streams.md says what the machine does.
 */

import type { Assembler } from "./assembler.ts";
import { type F, ft, type X, ZERO } from "./register.ts";

/** Registers that stand for streams while these are enabled. */
export const STREAMS: readonly [F, F, F] = [ft(0), ft(1), ft(2)];

export interface Axis {
  readonly count: number | X;
  /** From one to the next, in bytes. */
  readonly step: number;
}

export interface Walk {
  readonly base: X;
  /** The innermost first; at most four have more than one element. */
  readonly axes: readonly Axis[];
  /** Whether elements are written. */
  readonly writes: boolean;
  /** How often each is read. */
  readonly times: number;
}

const [REPEAT, BOUNDS, STRIDES, READ, WRITE] = [1, 2, 6, 24, 28];
const SSR = 0x7c0;

/** Starts a stream: from then on until all its elements are used it may not be changed. */
export function startStream(k: Assembler, number: number, { base, axes, writes, times }: Walk) {
  const numbers = new Map<number, X>([[0, ZERO]]);
  const held = (n: number): X => {
    const found = numbers.get(n) ?? k.li(n);
    numbers.set(n, found);
    return found;
  };
  const set = (word: number, value: X): void => k.emit("scfgwi", value, (word << 5) | number);
  const used = axes.filter(({ count }) => count !== 1);
  // What the dimensions within have moved by when they are done: a number, less what registers say.
  let moved = 0;
  const less: X[] = [];
  for (const [d, { count, step }] of used.entries()) {
    const last = typeof count === "number" ? held(count - 1) : k.add(count, -1);
    set(BOUNDS + d, last);
    const stride = held(step - moved);
    set(
      STRIDES + d,
      less.reduce((from, by) => k.sub(from, by), stride),
    );
    if (typeof count === "number") moved += (count - 1) * step;
    else if (step !== 0) less.push(k.mul(last, step));
  }
  if (used.length === 0) set(BOUNDS, ZERO);
  if (!writes) set(REPEAT, held(times - 1));
  set((writes ? WRITE : READ) + Math.max(0, used.length - 1), base);
}

/** What is written within reads and writes streams by their registers. */
export function streaming(k: Assembler, body: () => void): void {
  k.emit("csrrsi", ZERO, SSR, 1);
  body();
  k.emit("csrrci", ZERO, SSR, 1);
}

/** Instructions that compute on floats, `times` + 1 times. */
export function repeated(k: Assembler, times: X, instructions: readonly (() => unknown)[]): void {
  k.emit("frep.o", times, instructions.length - 1);
  for (const emit of instructions) emit();
}
