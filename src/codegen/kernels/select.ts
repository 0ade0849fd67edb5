/** The largest or smallest elements of an axis, and positions as vectors of a one. The same bits. */

import { bytesPer, sizeOf } from "../../tensor/tensor.ts";
import { copyWalk, LOAD, STORE, unitOf } from "../copy.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import { type Keys, withKeys } from "../keys.ts";
import { positions } from "../positions.ts";
import { type X, ZERO } from "../register.ts";
import { axisOf, given, number, wanted } from "../request.ts";
import { byteStrides, eachRow, type Walker } from "../walk.ts";

/** One line of elements along the axis that is searched. */
interface Line {
  readonly from: X;
  readonly values: X;
  readonly places: X;
  readonly size: number;
  readonly count: number;
  /** Bytes from one element of the line to the next, in the operand and both results. */
  readonly steps: readonly [number, number, number];
}

const INDEX_BYTES = 8;

/**
 * Every result is found by a search of the whole line, for the best of those that come behind the result before: n k
 * steps, and no memory. Of equal elements the first comes first.
 */
const topK: Generate = (request) => {
  const [x, y, at] = [given(request, 0), wanted(request), request.results[1]];
  const axis = axisOf(number(request, "axis", -1), x.shape.length);
  if (at && at.elem !== "i64") throw new KernelGap(`positions of type ${at.elem}`);
  const largest = number(request, "largest", 1) !== 0;
  const bytes = bytesPer(x.elem);
  const strides = [
    byteStrides(x.shape, bytes),
    byteStrides(y.shape, bytes),
    byteStrides(y.shape, INDEX_BYTES),
  ];
  const search = (k: PhaseAssembler): void => {
    if (sizeOf(y.shape) === 0) return;
    const addresses = [k.operand(0), k.result(0), at ? k.result(1) : ZERO];
    const walkers = addresses.map(
      (address, i): Walker => ({
        address,
        strides: [...(strides[i] ?? []).toSpliced(axis, 1), 0],
      }),
    );
    const steps = strides.map((s) => s[axis] ?? 0) as [number, number, number];
    withKeys(k, x.elem, largest, (keys) => {
      eachRow(k, [...x.shape.toSpliced(axis, 1), 1], walkers, ({ at: [from, values, places] }) => {
        const size = x.shape[axis] ?? 0;
        const line = { from: from as X, values: values as X, places: places as X, size, steps };
        best(k, keys, { ...line, count: y.shape[axis] ?? 0 }, bytes, at !== undefined);
      });
    });
  };
  return { phases: [search] };
};

function best<T>(
  k: PhaseAssembler,
  keys: Keys<T>,
  { from, values, places, size, count, steps }: Line,
  bytes: number,
  withPlaces: boolean,
): void {
  const unit = unitOf(4, bytes);
  const [to, index] = [k.copy(values), k.copy(places)];
  const [last, lastAt] = [keys.most(), k.li(-1)];
  const [step, pace, stride] = steps.map((s) => k.li(s)) as [X, X, X];
  k.repeat(count, () => {
    const [found, foundAt] = [keys.most(), k.li(-1)];
    const p = k.copy(from);
    k.range(0, size, 1, (i) => {
      const next = k.newLabel();
      const key = keys.load(p);
      // Behind the last result: less, or as large and further on.
      k.branch("ne", keys.less(last, key), ZERO, next);
      const take = k.newLabel();
      const fresh = k.newLabel();
      k.branch("ne", keys.less(key, last), ZERO, fresh);
      k.branch("ge", lastAt, i, next);
      k.label(fresh);
      k.branch("lt", foundAt, ZERO, take);
      k.branch("eq", keys.less(found, key), ZERO, next);
      k.label(take);
      keys.move(found, key);
      k.move(foundAt, i);
      k.label(next);
      k.addTo(p, p, step);
    });
    const source = k.add(from, k.x("mul", foundAt, step));
    for (let i = 0; i < bytes; i += unit) {
      k.emit(STORE[unit], k.x(LOAD[unit], i, source), i, to);
    }
    if (withPlaces) {
      k.emit("sw", foundAt, 0, index);
      k.emit("sw", ZERO, 4, index);
    }
    keys.move(last, found);
    k.move(lastAt, foundAt);
    k.addTo(to, to, pace);
    k.addTo(index, index, stride);
  });
}

/** Everything off first; then the one of each index, unless it lies outside. */
const oneHot: Generate = (request) => {
  const [indices, { elem }, y] = [given(request, 0), given(request, 2), wanted(request)];
  const axis = axisOf(number(request, "axis", -1), indices.shape.length + 1);
  const bytes = bytesPer(elem);
  const unit = unitOf(4, bytes);
  const own = byteStrides(y.shape, bytes);
  const off = (k: PhaseAssembler): void => {
    const from = { address: k.operand(2), strides: y.shape.map(() => 0) };
    copyWalk(k, y.shape, bytes, from, { address: k.result(0), strides: own });
  };
  const on = (k: PhaseAssembler): void => {
    const position = positions(k, indices.elem, y.shape[axis] ?? 0);
    const [one, apart] = [k.operand(2), k.li(own[axis] ?? 0)];
    const walkers = [
      {
        address: k.operand(0),
        strides: [...byteStrides(indices.shape, bytesPer(indices.elem)), 0],
      },
      { address: k.result(0), strides: [...own.toSpliced(axis, 1), 0] },
    ];
    eachRow(k, [...indices.shape, 1], walkers, ({ at: [index, to] }) => {
      const outside = k.newLabel();
      const place = position(index as X, 0, outside);
      const target = k.add(to as X, k.x("mul", place, apart));
      for (let i = 0; i < bytes; i += unit) {
        k.emit(STORE[unit], k.x(LOAD[unit], bytes + i, one), i, target);
      }
      k.label(outside);
    });
  };
  return { phases: [off, on] };
};

export const SELECT: GeneratorTable = { TopK: topK, OneHot: oneHot };
