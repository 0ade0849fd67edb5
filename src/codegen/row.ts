/** Walks along a row of numbers with as many lanes as the core has, and folds of whole rows. */

import { bytesPer, type Elem } from "../tensor/tensor.ts";
import type { Assembler } from "./assembler.ts";
import { type Narrow, narrow, widen } from "./half.ts";
import type { Isa } from "./isa.ts";
import { KernelGap } from "./kernel.ts";
import type { Lanes } from "./lanes.ts";
import { type F, type V, type X, ZERO } from "./register.ts";
import { ScalarLanes } from "./scalar-lanes.ts";
import { VectorLanes } from "./vector-lanes.ts";
import { vtypeOf } from "./vector-loop.ts";

const WORD = 4;
/** A vector group of the longest vectors, in words: what cores have of a row is a multiple of it. */
export const GRAIN = 16;
const UNROLL = 4;
/** LMUL: what functions such as the exponential leave; and that of elements half as wide. */
const GROUP = 4;
const HALF_GROUP = 2;

/** What the part of a row that is at hand can do with memory and with single registers. */
export interface Part<T> {
  load(from: X): T;
  store(value: T, to: X): void;
  /** Elements of another type as numbers of single precision. */
  loadAs(elem: Elem, from: X): T;
  storeAs(elem: Elem, value: T, to: X): void;
  /** The same number in every lane. */
  same(value: F): T;
  /** into = the largest of it and the lanes; of a number and a NaN the number. */
  largest(into: F, value: T): void;
  /** into += the sum of the lanes. */
  total(into: F, value: T): void;
}

/** A register that moves on by so many bytes for each element. */
export interface Moving {
  readonly at: X;
  readonly bytes: number;
}

export interface Row {
  readonly count: X;
  /** Registers that move along, by words where nothing else is said; they are changed. */
  readonly pointers: readonly (X | Moving)[];
}

/** Makes its constants first and gives what is done with each part. */
export type AlongRow = <T, I>(l: Lanes<T, I>) => (part: Part<T>) => void;

const movingOf = (p: X | Moving): Moving => ("at" in p ? p : { at: p, bytes: WORD });

export function alongRow(k: Assembler, isa: Isa, row: Row, make: AlongRow): void {
  if (isa.vector) vectorRow(k, row, make);
  else scalarRow(k, row, make);
}

function scalarRow(k: Assembler, { count, pointers }: Row, make: AlongRow): void {
  const lanes = new ScalarLanes(k);
  const body = make(lanes);
  const some = (n: number): void => {
    body(scalarPart(lanes, n));
    for (const { at, bytes } of pointers.map(movingOf)) k.addTo(at, at, n * bytes);
  };
  k.repeat(k.div(count, UNROLL), () => some(UNROLL));
  k.repeat(k.rem(count, UNROLL), () => some(1));
}

/** Loads that give the bits of an element, or the integer that it is. */
const LOADS: Readonly<Partial<Record<Elem, string>>> = {
  i8: "lb",
  i4: "lb",
  ui8: "lbu",
  ui4: "lbu",
  i1: "lbu",
  i16: "lh",
  ui16: "lhu",
  f16: "lhu",
  bf16: "lhu",
  i32: "lw",
};

const isNarrow = (elem: Elem): elem is Narrow => elem === "f16" || elem === "bf16";

function loadOf(elem: Elem): string {
  const name = LOADS[elem];
  if (name === undefined) throw new KernelGap(`numbers of type ${elem}`);
  return name;
}

function scalarPart(lanes: ScalarLanes, n: number): Part<readonly F[]> {
  const { k } = lanes;
  const each = Array.from({ length: n }, (_, i) => i);
  const folded =
    (name: string) =>
    (into: F, values: readonly F[]): void => {
      let left = values;
      while (left.length > 1) {
        left = left.flatMap((v, i) => {
          const other = left[i + 1];
          return i % 2 === 1 ? [] : [other ? k.f(name, v, other) : v];
        });
      }
      for (const v of left) k.to(into, name, into, v);
    };
  const load = (from: X): readonly F[] => each.map((i) => k.f("flw", i * WORD, from));
  const store = (values: readonly F[], to: X): void => {
    for (const [i, v] of values.entries()) k.emit("fsw", v, i * WORD, to);
  };
  return {
    load,
    store,
    loadAs(elem, from) {
      if (elem === "f32") return load(from);
      const words = each.map((i) => k.x(loadOf(elem), i * bytesPer(elem), from));
      return isNarrow(elem) ? widen(lanes, elem)(words) : lanes.fromWhole(words);
    },
    storeAs(elem, values, to) {
      if (!isNarrow(elem)) return store(values, to);
      for (const [i, w] of narrow(lanes, elem)(values).entries()) k.emit("sh", w, i * 2, to);
    },
    same: (value) => each.map(() => value),
    largest: folded("fmax.s"),
    total: folded("fadd.s"),
  };
}

/** One number of any type, on any core. */
export function numberAt(k: Assembler, elem: Elem, from: X): F {
  const [value] = scalarPart(new ScalarLanes(k), 1).loadAs(elem, from);
  if (!value) throw new Error("a lane without a number");
  return value;
}

function vectorRow(k: Assembler, { count, pointers }: Row, make: AlongRow): void {
  const lanes = new VectorLanes(k, GROUP);
  const body = make(lanes);
  const left = k.copy(count);
  const [again, done] = [k.newLabel(), k.newLabel()];
  k.far("eq", left, ZERO, done);
  k.label(again);
  const vl = k.x("vsetvli", left, vtypeOf(WORD, GROUP));
  body(vectorPart(lanes));
  const moving = pointers.map(movingOf);
  for (const size of new Set(moving.map(({ bytes }) => bytes))) {
    const step = k.mul(vl, size);
    for (const { at, bytes } of moving) if (bytes === size) k.addTo(at, at, step);
  }
  k.to(left, "sub", left, vl);
  k.back("ne", left, ZERO, again);
  k.label(done);
}

function vectorPart(lanes: VectorLanes): Part<V> {
  const { k, group } = lanes;
  const folded =
    (name: string) =>
    (into: F, value: V): void => {
      const start = k.v(group, "vfmv.v.f", into);
      k.to(into, "vfmv.f.s", k.v(1, name, value, start));
    };
  const load = (from: X): V => k.v(group, "vle32.v", from);
  return {
    load,
    store: (value, to) => k.emit("vse32.v", value, to),
    loadAs(elem, from) {
      if (elem === "f32") return load(from);
      const words = wordsFrom(lanes, elem, from);
      return isNarrow(elem) ? widen(lanes, elem)(words) : lanes.fromWhole(words);
    },
    storeAs(elem, value, to) {
      if (!isNarrow(elem)) return k.emit("vse32.v", value, to);
      const words = narrow(lanes, elem)(value);
      k.emit("vsetvli", ZERO, ZERO, vtypeOf(2, HALF_GROUP));
      k.emit("vse16.v", k.v(HALF_GROUP, "vnsrl.wi", words, 0), to);
      k.emit("vsetvli", ZERO, ZERO, vtypeOf(WORD, GROUP));
    },
    same: (value) => k.v(group, "vfmv.v.f", value),
    largest: folded("vfredmax.vs"),
    total: folded("vfredusum.vs"),
  };
}

/** Elements as words, by their sign. */
function wordsFrom({ k, group }: VectorLanes, elem: Elem, from: X): V {
  const sign = loadOf(elem).endsWith("u") ? "z" : "s";
  const bytes = bytesPer(elem);
  if (bytes === WORD) return k.v(group, "vle32.v", from);
  const part = WORD / bytes;
  // In a group as large as that of the words: it is aligned as theirs.
  const narrowed = k.v(group, `vle${bytes * 8}.v`, from);
  return k.v(group, `v${sign}ext.vf${part}`, narrowed);
}
