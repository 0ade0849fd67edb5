/** One operation on random operands: what its kernel computes against what ONNX Runtime computes. */

import fc from "fast-check";
import { expect, test } from "vitest";
import type { Attrs, Op, Value } from "../../src/ir/op.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { runModel } from "../../src/reference/run.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { kernelOf } from "../../src/tensor/kernels/index.ts";
import { type Elem, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { difference, type Tolerance } from "./agree.ts";

export interface Example {
  readonly kind: string;
  readonly inputs: readonly (Tensor | null)[];
  readonly attrs?: Attrs;
  /** Operands that the kernel takes after its inputs, where the operation has them as attributes. */
  readonly weights?: readonly (Tensor | null)[];
  /** How many results are compared; 1 unless told. */
  readonly results?: number;
}

/** Draws values; what fast-check shrinks. */
export type Draw = <T>(arbitrary: fc.Arbitrary<T>) => T;

const NO_WEIGHTS: WeightStore = {
  load: () => {
    throw new Error("these operations hold their weights");
  },
  add: () => {
    throw new Error("these operations hold their weights");
  },
  has: () => false,
};

const valueFor = (id: string, { elem, shape }: Tensor): Value => ({ id, type: { elem, shape } });

/** Float32 sums in another order differ by some units in the last place of their largest terms. */
const CLOSE: Tolerance = { relative: 1e-5, absolute: 1e-5 };

/** What differs between kernel and ONNX Runtime, or "". */
async function compare(example: Example, tolerance: Tolerance): Promise<string> {
  const { kind, inputs, attrs = {}, weights = [], results = 1 } = example;
  const kernel = kernelOf(kind);
  if (!kernel) throw new Error(`no kernel for ${kind}`);
  const outShapes = null;
  const found = kernel({ inputs: [...inputs, ...weights], attrs, outShapes }).slice(0, results);
  const operands = inputs.map((t, i) => (t ? valueFor(`x${i}`, t) : null));
  const outputs = found.map((t, i) => valueFor(`y${i}`, t));
  const op: Op = { kind, operands, results: outputs, attrs, origin: ["node"] };
  const port = (value: Value) => ({ name: value.id, value });
  const present = operands.filter((v) => v !== null);
  const model = exportModule(
    { level: "nn", name: "one", inputs: present.map(port), outputs: outputs.map(port), ops: [op] },
    NO_WEIGHTS,
  );
  const feeds = new Map(inputs.flatMap((t, i) => (t ? [[`x${i}`, t] as const] : [])));
  const expected = await runModel(model, feeds, undefined, { optimisation: "disabled" });
  const faults = found.map((t, i) => {
    const other = expected.get(`y${i}`);
    return other ? difference(t, other, tolerance) : "no result";
  });
  return faults.filter((f) => f !== "").join("; ");
}

/** A test that an operation agrees with ONNX Runtime on everything that `make` draws. */
export function agrees(
  name: string,
  make: (draw: Draw) => Example,
  tolerance: Tolerance = CLOSE,
  runs = 15,
): void {
  test(name, async () => {
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (gen) => {
        const draw: Draw = (arbitrary) => gen(() => arbitrary);
        expect(await compare(make(draw), tolerance)).toBe("");
      }),
      { numRuns: runs, seed: 7, interruptAfterTimeLimit: 30_000, endOnFailure: true },
    );
  });
}

export const int = (draw: Draw, min: number, max: number): number => draw(fc.integer({ min, max }));
export const pick = <T>(draw: Draw, ...items: readonly T[]): T => draw(fc.constantFrom(...items));

export const shapeOf = (draw: Draw, minRank = 1, maxRank = 4, least = 1): number[] =>
  draw(fc.array(fc.integer({ min: least, max: 5 }), { minLength: minRank, maxLength: maxRank }));

/** Values spread over -range..range (or the integers within), by a drawn seed. */
export function values(draw: Draw, elem: Elem, shape: readonly number[], range = 3): Tensor {
  const seed = draw(fc.integer({ min: 0, max: 0x7fffffff }));
  const next = generator(seed);
  const low = elem.startsWith("u") || elem === "i1" ? 0 : -range;
  const top = elem === "i1" ? 1 : range;
  const whole = !/^b?f/.test(elem);
  const drawn = Array.from({ length: sizeOf(shape) }, () => {
    const v = low + next() * (top - low);
    return whole ? Math.round(v) : v;
  });
  return fromNumbers(elem, shape, drawn);
}

/** Mulberry32, a small generator of numbers in [0, 1) for test data. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A shape that broadcasts to `shape`: leading axes dropped, some axes 1. */
export function narrowed(draw: Draw, shape: readonly number[]): number[] {
  const kept = shape.slice(int(draw, 0, shape.length));
  return kept.map((d) => (draw(fc.boolean()) ? d : 1));
}

export const ints = (list: readonly number[], shape: readonly number[] = [list.length]): Tensor =>
  fromNumbers("i64", shape, list);

/** A permutation of n axes. */
export const permutation = (draw: Draw, n: number): number[] =>
  draw(fc.shuffledSubarray([...Array(n).keys()], { minLength: n, maxLength: n }));
