/**
 * Walking several tensors in step: one index space, in which each has its own stride on every axis. Broadcasting,
 * transposing and slicing are all such walks. The cores share one of the axes.
 */

import type { PhaseAssembler } from "./kernel.ts";
import { type X, ZERO } from "./register.ts";

/** How one tensor is walked. */
export interface Walker {
  /** Where index 0 of every axis lies. It is left as it is. */
  readonly address: X;
  /** Bytes from one index to the next, on every axis. */
  readonly strides: readonly number[];
}

/** A piece of the innermost axis. */
export interface Run {
  /** Where it begins in each tensor; these registers may be changed. */
  readonly at: readonly X[];
  /** Bytes from one of its elements to the next, in each tensor. */
  readonly steps: readonly number[];
  /** How many elements it has, at least 1; a register if only the core knows. */
  readonly count: number | X;
}

/** An index space and the strides of each tensor in it. */
export interface Space {
  readonly dims: readonly number[];
  /** Of each tensor, on every axis. */
  readonly strides: readonly (readonly number[])[];
}

/** What an axis has to be better by to be shared instead of one outside of it. */
const BETTER = 1.1;
/** Sharing runs makes them short; how much they have to win. */
const INNERMOST = 1.3;

/** Row-major strides in bytes. */
export function byteStrides(shape: readonly number[], bytes: number): readonly number[] {
  let step = bytes;
  return shape
    .toReversed()
    .map((size) => {
      step *= size;
      return step / (size === 0 ? 1 : size);
    })
    .reverse();
}

/** Strides of a tensor of `shape` that is repeated over `result`: 0 where its own axis is absent or 1. */
export function broadcastStrides(
  shape: readonly number[],
  result: readonly number[],
  bytes: number,
): readonly number[] {
  const own = byteStrides(shape, bytes);
  const shift = result.length - shape.length;
  return result.map((_, i) => ((shape[i - shift] ?? 1) === 1 ? 0 : (own[i - shift] ?? 0)));
}

/** Drops axes of size 1 and merges neighbours that all tensors step through as one; at least one axis is left. */
export function coalesced({ dims, strides }: Space): Space {
  const kept: { size: number; steps: readonly number[] }[] = [];
  for (const [axis, size] of dims.entries()) {
    if (size === 1) continue;
    const steps = strides.map((s) => s[axis] ?? 0);
    const last = kept.at(-1);
    if (last?.steps.every((s, i) => s === (steps[i] ?? 0) * size)) {
      kept[kept.length - 1] = { size: last.size * size, steps };
    } else kept.push({ size, steps });
  }
  if (kept.length === 0) kept.push({ size: 1, steps: strides.map(() => 0) });
  return {
    dims: kept.map((a) => a.size),
    strides: strides.map((_, i) => kept.map((a) => a.steps[i] ?? 0)),
  };
}

/** Code for each innermost run of this core's part of the space; axes are merged where they can be. */
export function eachRun(
  k: PhaseAssembler,
  shape: readonly number[],
  walkers: readonly Walker[],
  run: (run: Run) => void,
): void {
  walk(k, coalesced(spaceOf(shape, walkers)), walkers, run);
}

/** The same, with the last axis as it is for the runs, also where its size is 1. */
export function eachRow(
  k: PhaseAssembler,
  shape: readonly number[],
  walkers: readonly Walker[],
  run: (run: Run) => void,
): void {
  const { dims, strides } = spaceOf(shape, walkers);
  const outer = coalesced({ dims: dims.slice(0, -1), strides: strides.map((s) => s.slice(0, -1)) });
  const whole = {
    dims: [...outer.dims, dims.at(-1) ?? 1],
    strides: outer.strides.map((s, i) => [...s, strides[i]?.at(-1) ?? 0]),
  };
  walk(k, whole, walkers, run);
}

const spaceOf = (dims: readonly number[], walkers: readonly Walker[]): Space => ({
  dims,
  strides: walkers.map((w) => w.strides),
});

/** Of how much use an axis is to so many cores: 1 where all have the same to do. */
const fairness = (size: number, cores: number): number => size / (Math.ceil(size / cores) * cores);

function sharedAxis(
  dims: readonly number[],
  cores: number,
  may: (axis: number) => boolean,
): number {
  let best = [...dims.keys()].findIndex(may);
  for (const [axis, size] of dims.entries()) {
    if (!may(axis)) continue;
    const needed = axis === dims.length - 1 ? INNERMOST : BETTER;
    if (fairness(size, cores) > fairness(dims[best] ?? 1, cores) * needed) best = axis;
  }
  return best;
}

/** As `eachRun`, with a space that is walked as it is; `may` says which axes can be shared, at least one. */
export function walk(
  k: PhaseAssembler,
  { dims, strides }: Space,
  walkers: readonly Walker[],
  run: (run: Run) => void,
  may: (axis: number) => boolean = () => true,
): void {
  if (dims.includes(0)) return;
  const at = walkers.map((w) => k.copy(w.address));
  const { cores } = k.request;
  const shared = cores === 1 ? -1 : sharedAxis(dims, cores, may);
  const counts: (number | X)[] = [...dims];
  const done = k.newLabel();
  if (shared >= 0) {
    const { from, end } = k.share(dims[shared] ?? 1);
    const count = k.sub(end, from);
    k.far("eq", count, ZERO, done);
    for (const [i, p] of at.entries()) {
      const step = strides[i]?.[shared] ?? 0;
      if (step !== 0) k.addTo(p, p, k.mul(from, step));
    }
    counts[shared] = count;
  }
  const moves = strides.map((own) => counts.map((_, axis) => moveOf(k, own, counts, axis)));
  const last = dims.length - 1;
  const nest = (axis: number): void => {
    if (axis === last) {
      const steps = strides.map((s) => s[last] ?? 0);
      const own = last === 0 ? at : at.map((p) => k.copy(p));
      run({ at: own, steps, count: counts[last] ?? 1 });
      return;
    }
    k.repeat(counts[axis] ?? 1, () => {
      nest(axis + 1);
      for (const [i, p] of at.entries()) {
        const by = moves[i]?.[axis] ?? 0;
        if (by !== 0) k.addTo(p, p, by);
      }
    });
  };
  nest(0);
  k.label(done);
}

const LARGEST_IMMEDIATE = 2047;

/** How far a tensor's place moves from one index of an outer axis to the next, when the axis inside has been walked. */
function moveOf(
  k: PhaseAssembler,
  strides: readonly number[],
  counts: readonly (number | X)[],
  axis: number,
): number | X {
  const inside = axis + 1;
  const step = strides[axis] ?? 0;
  // The run's own registers move along it; the walker's stay where it begins.
  const walked = inside < counts.length - 1 ? (strides[inside] ?? 0) : 0;
  const count = counts[inside] ?? 1;
  if (axis === counts.length - 1 || (step === 0 && walked === 0)) return 0;
  if (walked !== 0 && typeof count !== "number") return k.sub(k.li(step), k.mul(count, walked));
  const by = step - walked * (typeof count === "number" ? count : 0);
  return Math.abs(by) > LARGEST_IMMEDIATE ? k.li(by) : by;
}
