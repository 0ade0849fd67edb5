/**
 * Tensors from shapes, ranges and constants. The same bits; ranges of floats too, unless the exact sum lies so near to
 * the middle of two floats that a double, which src/tensor takes, rounds it into the middle.
 */

import { bytesPer, type Elem, isFloat, sizeOf, type Tensor, toBytes } from "../../tensor/tensor.ts";
import { fillWalk, STORE, type Unit, unitOf } from "../copy.ts";
import { addDouble, mulDouble } from "../double-arithmetic.ts";
import { doubleOfWide } from "../double-convert.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import { type X, ZERO } from "../register.ts";
import { axisOf, given, number, wanted } from "../request.ts";
import { isWide, loadOf } from "../scalars.ts";
import { byteStrides, eachRow } from "../walk.ts";
import { addWide, loadWide, mulWide, storeWide } from "../wide.ts";

/** Numbers that are known already, by one core. */
const known =
  (numbers: (x: readonly number[]) => readonly number[]): Generate =>
  (request) => {
    const list = numbers(given(request, 0).shape);
    const write = (k: PhaseAssembler): void => {
      k.when("eq", k.core, ZERO, () => {
        const to = k.result(0);
        for (const [i, n] of list.entries()) {
          k.emit("sw", k.li(n), 8 * i, to);
          k.emit("sw", ZERO, 8 * i + 4, to);
        }
      });
    };
    return { phases: [write] };
  };

const shape: Generate = (request) => {
  const rank = given(request, 0).shape.length;
  const at = (name: string, otherwise: number): number =>
    Math.max(0, Math.min(rank, axisOf(number(request, name, otherwise), rank)));
  return known((sizes) => sizes.slice(at("start", 0), at("end", rank)))(request);
};

/** The words of an element, 4 bytes each or one that is shorter. */
function wordsOf(value: Tensor): readonly number[] {
  const bytes = Buffer.from(toBytes(value));
  const unit = unitOf(4, bytes.length);
  return Array.from({ length: bytes.length / unit }, (_, i) => bytes.readUIntLE(i * unit, unit));
}

function fill(k: PhaseAssembler, value: Tensor | null): void {
  const { elem, shape: sizes } = wanted(k.request);
  const bytes = bytesPer(elem);
  for (const [i, word] of (value ? wordsOf(value) : [0]).entries()) {
    const apart = value ? bytes : unitOf(4, bytes);
    const count = (sizeOf(sizes) * bytes) / apart;
    const to = { address: k.add(k.result(0), 4 * i), strides: [apart] };
    fillWalk(k, [count], Math.min(4, apart), word === 0 ? ZERO : k.li(word | 0), to);
  }
}

const constantOfShape: Generate = ({ attrs }) => {
  const value = (attrs["value"] ?? null) as Tensor | null;
  return { phases: [(k) => fill(k, value)] };
};

const ONES: Readonly<Record<string, number>> = { f32: 0x3f800000, f16: 0x3c00, bf16: 0x3f80 };

const eyeLike: Generate = (request) => {
  const { elem, shape: sizes } = wanted(request);
  const [rows = 0, columns = 0] = sizes;
  const by = number(request, "k", 0);
  const first = Math.max(0, -by);
  const count = Math.min(rows, columns - by) - first;
  const unit = unitOf(4, bytesPer(elem));
  const diagonal = (k: PhaseAssembler): void => {
    const { from, end } = k.share(Math.max(0, count));
    const step = (columns + 1) * bytesPer(elem);
    const start = k.add(k.result(0), (first * columns + first + by) * bytesPer(elem));
    const one = k.li(isFloat(elem) ? (ONES[elem] ?? 1) : 1);
    k.range(from, end, 1, (i) => {
      const at = k.add(start, k.mul(i, step));
      // The upper word alone is not 0.
      if (elem === "f64") k.emit("sw", k.li(0x3ff00000), 4, at);
      else k.emit(STORE[unit], one, 0, at);
    });
  };
  return { phases: [(k) => fill(k, null), diagonal] };
};

/** The first float whose successor is another 2 away. */
const EXACT = 2 ** 24;

const range: Generate = (request) => {
  const { elem, shape: sizes } = wanted(request);
  const count = sizeOf(sizes);
  if (elem !== "f32" && elem !== "f64" && (isFloat(elem) || bytesPer(elem) < 2)) {
    throw new KernelGap(`elements of type ${elem}`);
  }
  if (count > EXACT) throw new KernelGap(`a range of ${count} numbers`);
  const step = bytesPer(elem);
  const write = (k: PhaseAssembler): void => {
    const walkers = [{ address: k.result(0), strides: byteStrides([count], step) }];
    const number = { address: ZERO, strides: [1] };
    const make = element(k, elem);
    eachRow(
      k,
      [count, 1],
      [...walkers, number].map((w) => ({ ...w, strides: [...w.strides, 0] })),
      ({ at: [to, i] }) => make(i as X, to as X),
    );
  };
  return { phases: [write] };
};

/** Number i of a range, to an address. */
function element(k: PhaseAssembler, elem: Elem): (i: X, to: X) => void {
  const [start, delta] = [k.operand(0), k.operand(2)];
  if (elem === "f32") {
    const [from, by] = [k.f("flw", 0, start), k.f("flw", 0, delta)];
    return (i, to) => {
      const sum = k.f("fmadd.s", k.f("fcvt.s.w", i), by, from);
      k.emit("fsw", sum, 0, to);
    };
  }
  if (elem === "f64") {
    const [from, by] = [loadWide(k, 0, start), loadWide(k, 0, delta)];
    return (i, to) => {
      const number = doubleOfWide(k, { low: i, high: k.copy(ZERO) }, false);
      storeWide(k, addDouble(k, from, mulDouble(k, number, by)), 0, to);
    };
  }
  if (isWide(elem)) {
    const [from, by] = [loadWide(k, 0, start), loadWide(k, 0, delta)];
    return (i, to) => storeWide(k, addWide(k, from, mulWide(k, by, { low: i, high: ZERO })), 0, to);
  }
  const [from, by] = [k.x(loadOf(elem), 0, start), k.x(loadOf(elem), 0, delta)];
  return (i, to) => {
    k.emit(STORE[bytesPer(elem) as Unit], k.x("add", from, k.x("mul", i, by)), 0, to);
  };
}

export const CREATION: GeneratorTable = {
  Shape: shape,
  Size: known((sizes) => [sizeOf(sizes)]),
  ConstantOfShape: constantOfShape,
  EyeLike: eyeLike,
  Range: range,
};
