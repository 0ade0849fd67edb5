/**
 * Resizing whose positions and weights are computed when code is made, in the rare forms: filters that are stretched against
 * aliasing or leave out what lies outside, crops, and symmetric coordinates. Core 0 writes them as a table into the
 * scratch memory first: for each position of the result the first position of the operand, how many count, and their
 * weights. The numbers are those of src/tensor, rounded to single precision.
 */

import { fromNumbers } from "../../tensor/convert.ts";
import type { Resized, Sampling, Taps } from "../../tensor/kernels/sampling.ts";
import { tapsAlong } from "../../tensor/kernels/sampling.ts";
import { bytesPer, type Elem, toBytes } from "../../tensor/tensor.ts";
import { copyUnits, unitOf } from "../copy.ts";
import { KernelGap, type Phase, type PhaseAssembler } from "../kernel.ts";
import { type X, ZERO } from "../register.ts";

const WORD = 4;
const [FIRST, COUNT, WEIGHTS] = [0, WORD, 2 * WORD];
/** Two or three instructions each. */
const MOST_WORDS = 1024;

export interface Table {
  readonly bytes: number;
  /** From one position's entry to the next. */
  readonly step: number;
  readonly taps: readonly Taps[];
}

const needsTable = new Set(["half_pixel_symmetric", "tf_crop_and_resize"]);

export const isTabled = (how: Sampling): boolean =>
  needsTable.has(how.coordinates) ||
  (how.mode !== "nearest" && (how.antialias || how.excludeOutside));

/** Errors: KernelGap where the table has so many words that its code would be long. */
export function tableOf(axis: Resized, how: Sampling): Table {
  const taps = tapsAlong(axis, how);
  const step = WEIGHTS + WORD * Math.max(0, ...taps.map((t) => t?.weights.length ?? 0));
  const bytes = step * taps.length;
  if (bytes > MOST_WORDS * WORD) throw new KernelGap(`a table of ${bytes / WORD} words`);
  return { bytes, step, taps };
}

/** Core 0 writes the table to an offset in the scratch memory. */
export const writeTable =
  ({ taps, step }: Table, offset: number): Phase =>
  (k) => {
    k.when("eq", k.core, ZERO, () => {
      const at = k.add(k.scratch(), offset);
      for (const tap of taps) {
        const weights = new Int32Array(Float32Array.from(tap?.weights ?? []).buffer);
        k.emit("sw", k.li(tap?.first ?? 0), FIRST, at);
        k.emit("sw", k.li(weights.length), COUNT, at);
        for (const [i, w] of weights.entries()) k.emit("sw", k.li(w), WEIGHTS + i * WORD, at);
        k.addTo(at, at, step);
      }
    });
  };

/** One row of the result, of so many elements side by side. */
export interface TableRow {
  readonly entry: X;
  readonly to: X;
  readonly base: X;
  readonly last: X;
  readonly count: number;
  readonly elem: Elem;
  /** What stands where the operand has nothing. */
  readonly outside: number;
}

/** A row of the operand by its position; the ends of the axis are repeated. */
function rowAt(k: PhaseAssembler, { base, last, count, elem }: TableRow, position: X): X {
  const inside = k.min(position, last);
  k.when("lt", inside, ZERO, () => k.move(inside, ZERO));
  return k.add(base, k.mul(inside, count * bytesPer(elem)));
}

function fill(k: PhaseAssembler, { to, count, elem, outside }: TableRow): void {
  const bytes = toBytes(fromNumbers(elem, [], [outside]));
  const at = k.copy(to);
  const values = [...bytes].map((b) => k.li(b));
  k.repeat(count, () => {
    for (const [i, value] of values.entries()) k.emit("sb", value, i, at);
    k.addTo(at, at, bytes.length);
  });
}

/** The element that decides, of any type. */
export function picked(k: PhaseAssembler, row: TableRow): void {
  const { entry, to, count, elem } = row;
  const bytes = count * bytesPer(elem);
  const unit = unitOf(4, bytes);
  k.when(
    "eq",
    k.x("lw", COUNT, entry),
    ZERO,
    () => fill(k, row),
    () => {
      const from = rowAt(k, row, k.x("lw", FIRST, entry));
      copyUnits(k, from, k.copy(to), bytes / unit, unit);
    },
  );
}

/** The weighted sum of words, tap by tap. */
export function weighted(k: PhaseAssembler, row: TableRow): void {
  const { entry, to, count } = row;
  const taps = k.x("lw", COUNT, entry);
  k.when(
    "eq",
    taps,
    ZERO,
    () => fill(k, row),
    () => {
      fill(k, { ...row, outside: 0 });
      const [position, weights] = [k.x("lw", FIRST, entry), k.add(entry, WEIGHTS)];
      k.repeat(taps, () => {
        const weight = k.f("flw", 0, weights);
        const [from, out] = [rowAt(k, row, position), k.copy(to)];
        k.repeat(count, () => {
          const sum = k.f("fmadd.s", k.f("flw", 0, from), weight, k.f("flw", 0, out));
          k.emit("fsw", sum, 0, out);
          for (const p of [from, out]) k.addTo(p, p, WORD);
        });
        k.addTo(position, position, 1);
        k.addTo(weights, weights, WORD);
      });
    },
  );
}
