/** Copying: by words where addresses allow it, in vectors where cores have them. */

import type { PhaseAssembler } from "./kernel.ts";
import type { X } from "./register.ts";
import { unrolled } from "./unrolled.ts";
import { vectorLoop } from "./vector-loop.ts";
import { coalesced, type Run, type Space, type Walker, walk } from "./walk.ts";

/** Bytes that one load takes. */
export type Unit = 1 | 2 | 4;

export const LOAD: Readonly<Record<Unit, string>> = { 1: "lbu", 2: "lhu", 4: "lw" };
export const STORE: Readonly<Record<Unit, string>> = { 1: "sb", 2: "sh", 4: "sw" };

/** Units that are copied without a loop. */
const UNROLLED = 16;
/** Rows of more units than this have loops of their own. */
const LONGEST_CHUNK = 8;
/** Columns that a block of a transposition has. */
const BLOCK = 4;
/** Runs of fewer elements are not worth a vector. */
const SHORT = 8;

/** The widest unit that divides all of these numbers of bytes. */
export function unitOf(...bytes: readonly number[]): Unit {
  if (bytes.every((b) => b % 4 === 0)) return 4;
  return bytes.every((b) => b % 2 === 0) ? 2 : 1;
}

const isLong = (count: number | X): boolean => typeof count !== "number" || count >= SHORT;

/**
 * Copies an index space of elements of so many bytes from one tensor to another, shared by the cores. Both begin at
 * multiples of `aligned` bytes.
 */
export function copyWalk(
  k: PhaseAssembler,
  shape: readonly number[],
  bytes: number,
  from: Walker,
  to: Walker,
  aligned: Unit = 4,
): void {
  const own = [from, to].map((w) => [...w.strides, 1]);
  const { dims, strides } = coalesced({ dims: [...shape, bytes], strides: own });
  const last = dims.length - 1;
  const isRow = strides.every((s) => s[last] === 1);
  const length = isRow ? (dims[last] ?? 1) : 1;
  const outer = isRow ? last : dims.length;
  const unit = unitOf(aligned, length, ...strides.flatMap((s) => s.slice(0, outer)));
  const units = length / unit;
  if (units > LONGEST_CHUNK || outer === 0) {
    const rows: Space = {
      dims: [...dims.slice(0, outer), units],
      strides: strides.map((s) => [...s.slice(0, outer), unit]),
    };
    walk(k, rows, [from, to], ({ at, count }) => copyUnits(k, at[0] as X, at[1] as X, count, unit));
    return;
  }
  const space: Space = {
    dims: dims.slice(0, outer),
    strides: strides.map((s) => s.slice(0, outer)),
  };
  const column = units === 1 && !k.request.isa.vector ? columnAxis(space, unit) : -1;
  if (column >= 0) copyBlocks(k, space, column, from, to, unit);
  else walk(k, space, [from, to], (run) => copyChunks(k, run, { unit, units }));
}

/** Writes the same value, of at most 4 bytes or 0, into an index space of elements of so many bytes. */
export function fillWalk(
  k: PhaseAssembler,
  shape: readonly number[],
  bytes: number,
  value: X,
  to: Walker,
): void {
  const unit = unitOf(4, bytes);
  const dims = [...shape, bytes / unit];
  const space = coalesced({ dims, strides: [[...to.strides, unit]] });
  walk(k, space, [to], ({ at, steps, count }) => {
    storeUnits(k, value, at[0] as X, steps[0] ?? unit, count, unit);
  });
}

/** Copies `count` units that lie side by side; the registers are moved. */
export function copyUnits(k: PhaseAssembler, from: X, to: X, count: number | X, unit: Unit): void {
  const some = (n: number, offset = 0): void => {
    const offsets = Array.from({ length: n }, (_, i) => offset + i * unit);
    const values = offsets.map((o) => k.x(LOAD[unit], o, from));
    for (const [i, v] of values.entries()) k.emit(STORE[unit], v, offsets[i] ?? 0, to);
  };
  const move = (n: number): void => {
    for (const p of [from, to]) k.addTo(p, p, n * unit);
  };
  if (typeof count === "number" && count <= UNROLLED) {
    some(count);
    return;
  }
  if (k.request.isa.vector) {
    vectorLoop(k, count, unit, 8, (vl) => {
      k.emit(`vse${8 * unit}.v`, k.v(8, `vle${8 * unit}.v`, from), to);
      const bytes = k.mul(vl, unit);
      for (const p of [from, to]) k.addTo(p, p, bytes);
    });
    return;
  }
  const turn = (): void => {
    some(UNROLLED);
    move(UNROLLED);
  };
  if (typeof count === "number") {
    k.repeat(Math.floor(count / UNROLLED), turn);
    some(count % UNROLLED);
    return;
  }
  k.repeat(k.div(count, UNROLLED), turn);
  k.repeat(k.rem(count, UNROLLED), () => {
    some(1);
    move(1);
  });
}

/** A few units that are moved together: an element or a short row. */
interface Chunk {
  readonly unit: Unit;
  readonly units: number;
}

function copyChunks(k: PhaseAssembler, { at, steps, count }: Run, { unit, units }: Chunk): void {
  const [from, to] = at as [X, X];
  const [step = 0, pace = 0] = steps;
  if (step === 0 && units === 1) {
    storeUnits(k, k.x(LOAD[unit], 0, from), to, pace, count, unit);
    return;
  }
  if (k.request.isa.vector && isLong(count)) {
    copyStrided(k, { at, steps, count }, { unit, units });
    return;
  }
  const copy = ([a = 0, b = 0]: readonly number[]): void => {
    const values = Array.from({ length: units }, (_, i) => k.x(LOAD[unit], a + i * unit, from));
    for (const [i, v] of values.entries()) k.emit(STORE[unit], v, b + i * unit, to);
  };
  unrolled(k, { at: [from, to], steps: [step, pace], count }, copy, units);
}

/** Strided accesses of whole vectors, one for each unit of a chunk. */
function copyStrided(k: PhaseAssembler, { at, steps, count }: Run, { unit, units }: Chunk): void {
  const [from, to] = at as [X, X];
  const [step, pace] = steps.map((s) => (s === unit ? null : k.li(s)));
  const width = 8 * unit;
  vectorLoop(k, count, unit, 8, (vl) => {
    for (let i = 0; i < units; i++) {
      const [a, b] = [from, to].map((p) => (i === 0 ? p : k.add(p, i * unit))) as [X, X];
      const v = step ? k.v(8, `vlse${width}.v`, a, step) : k.v(8, `vle${width}.v`, a);
      if (pace) k.emit(`vsse${width}.v`, v, b, pace);
      else k.emit(`vse${width}.v`, v, b);
    }
    k.addTo(from, from, k.mul(vl, step ?? unit));
    k.addTo(to, to, k.mul(vl, pace ?? unit));
  });
}

/** `count` times the same value, `step` bytes apart; the address is moved. */
export function storeUnits(
  k: PhaseAssembler,
  value: X,
  to: X,
  step: number,
  count: number | X,
  unit: Unit,
): void {
  if (k.request.isa.vector && step === unit && isLong(count)) {
    vectorLoop(k, count, unit, 8, (vl) => {
      k.emit(`vse${8 * unit}.v`, k.v(8, "vmv.v.x", value), to);
      k.addTo(to, to, k.mul(vl, unit));
    });
    return;
  }
  unrolled(k, { at: [to], steps: [step], count }, ([o = 0]) => k.emit(STORE[unit], value, o, to));
}

/** The axis along which units are read side by side, where the innermost one jumps further than offsets reach. */
function columnAxis({ dims, strides: [from = [], to = []] }: Space, unit: Unit): number {
  const last = dims.length - 1;
  const isFar = Math.abs(from[last] ?? 0) > 240 && to[last] === unit;
  if (!isFar || (dims[last] ?? 1) < BLOCK) return -1;
  return from.findIndex((s, axis) => s === unit && axis < last && (dims[axis] ?? 1) >= BLOCK);
}

/**
 * A transposition by blocks: of each row that is read, a few units side by side go to as many rows of the result. So
 * one step along the far axis serves all of them.
 */
function copyBlocks(
  k: PhaseAssembler,
  { dims, strides }: Space,
  column: number,
  from: Walker,
  to: Walker,
  unit: Unit,
): void {
  const size = dims[column] ?? 1;
  const apart = strides[1]?.[column] ?? 0;
  const whole = size - (size % BLOCK);
  const part = (columns: number, count: number): void => {
    const blocks: Space = {
      dims: dims.with(column, count),
      strides: strides.map((s) => s.with(column, columns * (s[column] ?? 0))),
    };
    const begin =
      columns === BLOCK ? [from, to] : [shifted(from, whole * unit), shifted(to, whole * apart)];
    walk(k, blocks, begin, (run) => copyBlock(k, run, columns, apart, unit));
  };
  const shifted = (w: Walker, by: number): Walker => ({ ...w, address: k.add(w.address, by) });
  part(BLOCK, whole / BLOCK);
  if (whole < size) part(size - whole, 1);
}

function copyBlock(
  k: PhaseAssembler,
  { at, steps, count }: Run,
  columns: number,
  apart: number,
  unit: Unit,
): void {
  const [from, to] = at as [X, X];
  const targets = Array.from({ length: columns }, (_, i) => k.add(to, i * apart));
  const run = {
    at: [from, ...targets],
    steps: [steps[0] ?? 0, ...targets.map(() => steps[1] ?? unit)],
    count,
  };
  const copy = ([a = 0, ...offsets]: readonly number[]): void => {
    const values = targets.map((_, i) => k.x(LOAD[unit], a + i * unit, from));
    for (const [i, p] of targets.entries()) {
      k.emit(STORE[unit], values[i] as X, offsets[i] ?? 0, p);
    }
  };
  unrolled(k, run, copy, 2);
}
