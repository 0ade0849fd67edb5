/**
 * Loops over the elements of a row that gather sums and maxima on the way, for scalar and vector cores. Sums have
 * several lanes, which are added at the end, and sums of many elements are sums of sums: so an error grows
 * with the square root of a row's length only, and stays below 1e-5 of the sum of magnitudes for rows up to 16384.
 */

import type { Assembler } from "./assembler.ts";
import type { Isa } from "./isa.ts";
import type { Gathering, Lanes } from "./lanes.ts";
import type { F, V, X } from "./register.ts";
import { ScalarLanes } from "./scalar-lanes.ts";
import { FLOAT_BYTES, load, type Stream, store } from "./strip.ts";
import { VectorLanes } from "./vector-lanes.ts";
import { type Group, vectorLoop, vtypeOf } from "./vector-loop.ts";

/** What is gathered, in lanes. */
export interface Total<T> {
  readonly how: Gathering;
  /** What every lane begins with: it changes nothing. */
  readonly start: F;
  readonly lanes: T;
  /** What the lanes do not hold any more. */
  readonly rest: F;
}

/** Three at most; there are as many as the loop says. */
type Few<T> = readonly [T, T, T];
const few = <T>(values: readonly T[]): Few<T> => values as unknown as Few<T>;

export interface Loop<T> {
  /** Where the elements of the row lie; the registers are left as they are. */
  readonly inputs: readonly Stream[];
  /** Where results go; null if there are none. */
  readonly output: Stream | null;
  readonly count: number;
  readonly totals?: readonly Total<T>[];
  /** Changes the lanes of the totals in place, and gives the results. */
  readonly step: (values: Few<T>, totals: Few<T>) => T | null;
}

export interface Rows<T, I> {
  readonly l: Lanes<T, I>;
  total(how: Gathering, start: F): Total<T>;
  loop(loop: Loop<T>): void;
  /** One number of all lanes. */
  gathered(total: Total<T>): F;
}

/** Code that is the same for scalar and vector cores; `group` is the LMUL of the latter. */
export function onRows(
  k: Assembler,
  isa: Isa,
  group: Group,
  code: <T, I>(rows: Rows<T, I>) => void,
): void {
  if (isa.vector) code(new VectorRows(k, group));
  else code(new ScalarRows(k));
}

/** Additions of a lane that are made one after the other. */
const IN_A_ROW = 64;

/**
 * Runs a loop piece by piece if its sums are long; `width` is how many lanes there are. `flush` adds the lanes of a
 * total to its rest and lets them begin anew.
 */
function inPieces<T>(
  k: Assembler,
  loop: Loop<T>,
  width: number,
  flush: (total: Total<T>) => void,
  run: (loop: Loop<T>, streams: readonly Stream[]) => void,
): void {
  const { inputs, output, count, totals = [] } = loop;
  const all = output ? [...inputs, output] : inputs;
  const own = all.map((s) => ({ ...s, address: k.copy(s.address) }));
  const piece = IN_A_ROW * width;
  if (count <= piece || totals.length === 0) {
    run(loop, own);
    return;
  }
  const some = (n: number): void => {
    run({ ...loop, count: n }, own);
    for (const t of totals) flush(t);
  };
  k.repeat(Math.floor(count / piece), () => some(piece));
  if (count % piece > 0) run({ ...loop, count: count % piece }, own);
}

const TURN = 4;
const LARGEST_OFFSET = 2047;

class ScalarRows implements Rows<readonly F[], readonly X[]> {
  readonly l: ScalarLanes;
  private readonly k: Assembler;
  constructor(k: Assembler) {
    this.k = k;
    this.l = new ScalarLanes(k);
  }

  total(how: Gathering, start: F): Total<readonly F[]> {
    const copy = (): F => this.k.f("fsgnj.s", start, start);
    return { how, start, lanes: Array.from({ length: TURN }, copy), rest: copy() };
  }
  gathered({ how, lanes, rest }: Total<readonly F[]>): F {
    const { k } = this;
    const [a, b, c, d] = lanes as [F, F, F, F];
    const name = `f${how}.s`;
    return k.f(name, k.f(name, k.f(name, a, b), k.f(name, c, d)), rest);
  }
  loop(loop: Loop<readonly F[]>): void {
    const flush = (total: Total<readonly F[]>): void => {
      const sum = this.gathered(total);
      for (const r of total.lanes) this.k.to(r, "fsgnj.s", total.start, total.start);
      this.k.to(total.rest, "fsgnj.s", sum, sum);
    };
    inPieces(this.k, loop, TURN, flush, (piece, streams) => this.run(piece, streams));
  }

  private run(
    { inputs, output, count, totals = [], step }: Loop<readonly F[]>,
    streams: readonly Stream[],
  ): void {
    const { k } = this;
    const isFar = (s: Stream): boolean => TURN * s.step > LARGEST_OFFSET;
    const some = (n: number): void => {
      const lanes = Array.from({ length: n }, (_, i) => i);
      const access = (s: Stream, i: number, one: (offset: number) => void): void => {
        one(isFar(s) ? 0 : i * s.step);
        if (isFar(s)) k.addTo(s.address, s.address, s.step);
      };
      const values = streams.slice(0, inputs.length).map((s) =>
        lanes.map((i) => {
          const value = k.newF();
          access(s, i, (offset) => k.to(value, "flw", offset, s.address));
          return value;
        }),
      );
      const results = step(few(values), few(totals.map((t) => t.lanes.slice(0, n))));
      const to = streams[inputs.length];
      for (const i of lanes) {
        if (output && to) access(to, i, (o) => k.emit("fsw", results?.[i] as F, o, to.address));
      }
      for (const s of streams) {
        if (!isFar(s) && s.step !== 0) k.addTo(s.address, s.address, n * s.step);
      }
    };
    k.repeat(Math.floor(count / TURN), () => some(TURN));
    if (count % TURN > 0) some(count % TURN);
  }
}

class VectorRows implements Rows<V, V> {
  readonly l: VectorLanes;
  private readonly k: Assembler;
  private readonly group: Group;
  constructor(k: Assembler, group: Group) {
    this.k = k;
    this.group = group;
    this.l = new VectorLanes(k, group);
  }

  total(how: Gathering, start: F): Total<V> {
    this.whole();
    const rest = this.k.f("fsgnj.s", start, start);
    return { how, start, lanes: this.l.splat(start), rest };
  }
  gathered({ how, lanes, rest }: Total<V>): F {
    const { k } = this;
    if (how === "mul") throw new Error("vectors have no product of all elements");
    const name = { add: "vfredusum.vs", max: "vfredmax.vs", min: "vfredmin.vs" }[how];
    this.whole();
    const first = this.l.splat(rest);
    return k.f("vfmv.f.s", k.v(1, name, lanes, first));
  }
  loop(loop: Loop<V>): void {
    const flush = (total: Total<V>): void => {
      const sum = this.gathered(total);
      this.k.to(total.lanes, "vfmv.v.f", total.start);
      this.k.to(total.rest, "fsgnj.s", sum, sum);
    };
    inPieces(this.k, loop, LANES * this.group, flush, (piece, streams) => this.run(piece, streams));
  }

  /** All the elements of a group. */
  private whole(): void {
    this.k.emit("vsetvli", this.k.newX(), this.k.li(-1), vtypeOf(FLOAT_BYTES, this.group));
  }

  private run(
    { inputs, output, count, totals = [], step }: Loop<V>,
    streams: readonly Stream[],
  ): void {
    const { k, group } = this;
    const strides = new Map<number, X>();
    for (const { step: by } of streams) if (by !== FLOAT_BYTES) strides.set(by, k.li(by));
    if (count === 0) return;
    // Lanes of totals behind the last element stay as they are.
    vectorLoop(
      k,
      count,
      FLOAT_BYTES,
      group,
      (vl) => {
        const values = streams
          .slice(0, inputs.length)
          .map((s) => load(k, group, s, strides.get(s.step)));
        const result = step(few(values), few(totals.map((t) => t.lanes)));
        const to = streams[inputs.length];
        if (output && to && result) store(k, result, to, strides.get(to.step));
        for (const { address, step: by } of streams) {
          if (by !== 0) k.addTo(address, address, k.mul(vl, strides.get(by) ?? FLOAT_BYTES));
        }
      },
      "undisturbed",
    );
  }
}

/** Elements of a register: they have 128 bits. */
const LANES = 4;
