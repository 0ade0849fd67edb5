/** Walks along a row of words with as many lanes as the core has, and folds of whole rows. */

import type { Assembler } from "./assembler.ts";
import type { Isa } from "./isa.ts";
import type { Lanes } from "./lanes.ts";
import { type F, type V, type X, ZERO } from "./register.ts";
import { ScalarLanes } from "./scalar-lanes.ts";
import { VectorLanes } from "./vector-lanes.ts";
import { type Group, vtypeOf } from "./vector-loop.ts";

const WORD = 4;
const UNROLL = 4;

/** What the part of a row that is at hand can do with memory and with single registers. */
export interface Part<T> {
  load(from: X): T;
  store(value: T, to: X): void;
  /** The same number in every lane. */
  same(value: F): T;
  /** into = the largest of it and the lanes; of a number and a NaN the number. */
  largest(into: F, value: T): void;
  /** into += the sum of the lanes. */
  total(into: F, value: T): void;
}

export interface Row {
  readonly count: X;
  /** Registers that move along; they are changed. */
  readonly pointers: readonly X[];
  /** LMUL. */
  readonly group: Group;
}

/** Makes its constants first and gives what is done with each part. */
export type AlongRow = <T, I>(l: Lanes<T, I>) => (part: Part<T>) => void;

export function alongRow(k: Assembler, isa: Isa, row: Row, make: AlongRow): void {
  if (isa.vector) vectorRow(k, row, make);
  else scalarRow(k, row, make);
}

function scalarRow(k: Assembler, { count, pointers }: Row, make: AlongRow): void {
  const body = make(new ScalarLanes(k));
  const some = (n: number): void => {
    body(scalarPart(k, n));
    for (const p of pointers) k.addTo(p, p, n * WORD);
  };
  k.repeat(k.div(count, UNROLL), () => some(UNROLL));
  k.repeat(k.rem(count, UNROLL), () => some(1));
}

function scalarPart(k: Assembler, n: number): Part<readonly F[]> {
  const each = Array.from({ length: n }, (_, i) => i);
  const folded =
    (name: string) =>
    (into: F, values: readonly F[]): void => {
      let left = values;
      while (left.length > 1) {
        left = left.flatMap((v, i) => {
          const other = left[i + 1];
          return i % 2 === 1 || !other ? [] : [k.f(name, v, other)];
        });
      }
      for (const v of left) k.to(into, name, into, v);
    };
  return {
    load: (from) => each.map((i) => k.f("flw", i * WORD, from)),
    store(values, to) {
      for (const [i, v] of values.entries()) k.emit("fsw", v, i * WORD, to);
    },
    same: (value) => each.map(() => value),
    largest: folded("fmax.s"),
    total: folded("fadd.s"),
  };
}

function vectorRow(k: Assembler, { count, pointers, group }: Row, make: AlongRow): void {
  const body = make(new VectorLanes(k, group));
  const left = k.copy(count);
  const [again, done] = [k.newLabel(), k.newLabel()];
  k.far("eq", left, ZERO, done);
  k.label(again);
  const vl = k.x("vsetvli", left, vtypeOf(WORD, group));
  body(vectorPart(k, group));
  const bytes = k.x("slli", vl, Math.log2(WORD));
  for (const p of pointers) k.addTo(p, p, bytes);
  k.to(left, "sub", left, vl);
  k.back("ne", left, ZERO, again);
  k.label(done);
}

function vectorPart(k: Assembler, group: number): Part<V> {
  const folded =
    (name: string) =>
    (into: F, value: V): void => {
      const start = k.v(group, "vfmv.v.f", into);
      k.to(into, "vfmv.f.s", k.v(1, name, value, start));
    };
  return {
    load: (from) => k.v(group, "vle32.v", from),
    store: (value, to) => k.emit("vse32.v", value, to),
    same: (value) => k.v(group, "vfmv.v.f", value),
    largest: folded("vfredmax.vs"),
    total: folded("vfredusum.vs"),
  };
}
