/** Blocks and their scales, against the definition written out, for every way in which a matrix is stored. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { countOdd, hasOdd } from "../../src/backend/odd-values.ts";
import { takerFor } from "../../src/backend/strips.ts";
import { imageSpecs, stripCount, writeStrip } from "../../src/backend/tile-images.ts";
import { loadDevice } from "../../src/target/load.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { type Elem, type TensorData, toBytes } from "../../src/tensor/tensor.ts";
import { Wasm } from "../../src/wasm/module.ts";
import { createSafetensors, readSafetensors } from "../../src/weights/safetensors.ts";
import { copyElements } from "../../src/weights/store.ts";

const folder = mkdtempSync(join(tmpdir(), "aimcc-images-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Blocks of many sizes: whole vectors of four and eight, and what is left of them. */
const ROWS = [0, 5, 300];
const COLS = [0, 4, 7, 45];

/** w[r, c]: NaN, infinities and a column of zeros are among the values of floats. */
function weight(elem: Elem, r: number, c: number): number {
  if (c === 6) return 0;
  if (elem !== "i8" && r === 3 && c === 2) return Number.NaN;
  if (elem !== "i8" && r === 8 && c === 1) return Number.NEGATIVE_INFINITY;
  const value = Math.round(Math.sin(r * 13 + c * 7) * 64) / 64;
  return elem === "i8" ? Math.round(100 * value) : value;
}

const cases = (["f32", "f16", "bf16", "i8"] as const).flatMap((elem) =>
  [false, true].map((transposed) => [elem, transposed] as const),
);

test.each(cases)("%s, transposed %s", (elem, transposed) => {
  const [rows, cols] = [300, 45];
  const at = (i: number): [number, number] =>
    transposed ? [i % rows, Math.floor(i / rows)] : [Math.floor(i / cols), i % cols];
  const flat = Array.from({ length: rows * cols }, (_, i) => weight(elem, ...at(i)));
  const stored = fromNumbers(elem as Elem, [rows * cols], flat);
  const grid = {
    elem,
    stored: transposed ? ([cols, rows] as const) : ([rows, cols] as const),
    transposed,
    rowSplits: ROWS,
    colSplits: COLS,
    values: "w",
    scales: "w/scale",
  };
  const path = join(folder, `${elem}.${transposed}`);
  const file = createSafetensors(path, imageSpecs(grid));
  const read = (start: number, into: TensorData) => copyElements(stored.data, start, into);
  const sink = {
    values: (start: number, bytes: Uint8Array) => file.write("w", start, bytes),
    scales: (start: number, bytes: Uint8Array) => file.write("w/scale", start, bytes),
  };
  const taker = takerFor(elem, new Wasm());
  const strips = Array.from({ length: stripCount(grid) }, (_, i) =>
    writeStrip(grid, i, read, sink, taker),
  );
  const isWhole = elem === "i8";
  expect(strips.every(Boolean)).toBe(isWhole);
  const odd = isWhole ? 0 : 1;
  const found = countOdd(elem, rows * cols, read);
  expect(found).toEqual({ nan: odd, infinite: odd, isMask: false });
  expect(hasOdd(elem, toBytes(stored))).toBe(!isWhole);
  file.finish();
  file.close();
  const written = readSafetensors(path);
  const inside = (splits: readonly number[], k: number): number[] =>
    Array.from({ length: (splits[k + 1] ?? 0) - (splits[k] ?? 0) }, (_, n) => n + (splits[k] ?? 0));
  const blocks = [0, 1].flatMap((r) => [0, 1, 2].map((c) => [inside(ROWS, r), inside(COLS, c)]));
  const values = blocks.flatMap(([ys = [], xs = []]) =>
    ys.flatMap((y) => xs.map((x) => weight(elem, y, x))),
  );
  const scales = blocks.flatMap(([ys = [], xs = []]) =>
    xs.map((x) => Math.max(2 ** -126, ...ys.map((y) => Math.abs(weight(elem, y, x))))),
  );
  const [value, scale] = [written.get("w"), written.get("w/scale")];
  if (!value || !scale) return expect.fail("values and scales");
  expect(toNumbers(value)).toEqual(toNumbers(fromNumbers(elem, [values.length], values)));
  expect(scale.shape).toEqual([2, cols]);
  expect([...(scale.data as Float32Array)]).toEqual(scales);
});

test.each(["f32", "f16", "bf16", "f64", "i64"] as const)("odd values of %s", (elem) => {
  const odd = (...values: number[]): unknown[] => {
    const t = fromNumbers(elem, [values.length], values);
    const read = (start: number, into: TensorData) => copyElements(t.data, start, into);
    return [hasOdd(elem, toBytes(t)), countOdd(elem, values.length, read)];
  };
  expect(odd(0, -1, 2)).toEqual([false, { nan: 0, infinite: 0, isMask: false }]);
  if (elem === "i64") return;
  const [nan, infinity] = [Number.NaN, Number.POSITIVE_INFINITY];
  expect(odd(0, 60000, nan)).toEqual([true, { nan: 1, infinite: 0, isMask: false }]);
  expect(odd(0, infinity, -infinity)).toEqual([true, { nan: 0, infinite: 2, isMask: false }]);
  expect(odd(0, -infinity)).toEqual([true, { nan: 0, infinite: 1, isMask: true }]);
});

test.each(cases)(
  "columns clipped to two root mean squares, %s, transposed %s",
  (elem, transposed) => {
    const [rows, cols] = [300, 45];
    // Finite: neither of the odd places is among these rows and columns.
    const of = (r: number, c: number) => weight(elem, r + 10, c + 7);
    const at = (i: number): [number, number] =>
      transposed ? [i % rows, Math.floor(i / rows)] : [Math.floor(i / cols), i % cols];
    const flat = Array.from({ length: rows * cols }, (_, i) => of(...at(i)));
    const stored = fromNumbers(elem as Elem, [rows * cols], flat);
    const scales = new Float32Array(2 * cols);
    const grid = {
      elem,
      stored: transposed ? ([cols, rows] as const) : ([rows, cols] as const),
      transposed,
      rowSplits: ROWS,
      colSplits: COLS,
      values: "w",
      scales: "w/scale",
      columns: { choice: { method: "sigma", count: 2 } as const, device: loadDevice("ideal") },
    };
    const sink = {
      values: () => undefined,
      scales: (start: number, bytes: Uint8Array) =>
        scales.set(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4), start),
    };
    const read = (start: number, into: TensorData) => copyElements(stored.data, start, into);
    const taker = takerFor(elem, new Wasm());
    for (let i = 0; i < stripCount(grid); i++) writeStrip(grid, i, read, sink, taker);
    const held = toNumbers(stored);
    for (const [i, scale] of scales.entries()) {
      const [r, c] = [Math.floor(i / cols), i % cols];
      const [from = 0, to = 0] = ROWS.slice(r, r + 2);
      const column = Array.from({ length: to - from }, (_, n) =>
        Math.abs(held[transposed ? c * rows + from + n : (from + n) * cols + c] ?? 0),
      );
      const squares = column.reduce((sum, w) => sum + w * w, 0);
      const right = Math.min(Math.max(...column), 2 * Math.sqrt(squares / column.length));
      expect(Math.abs(scale / right - 1)).toBeLessThan(1e-6);
    }
  },
);

test("what is not written whole is noticed", () => {
  const file = createSafetensors(join(folder, "half"), [{ name: "w", elem: "f32", shape: [2] }]);
  file.write("w", 1, new Uint8Array(4));
  expect(() => file.finish()).toThrow("'w' is not written whole".replaceAll("'", ""));
  expect(() => file.write("w", 1, new Uint8Array(8))).toThrow("too long");
  file.close();
});
