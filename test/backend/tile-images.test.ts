/** Blocks and their scales, against the definition written out, for every way in which a matrix is stored. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { countOdd, imageSpecs, writeImages } from "../../src/backend/tile-images.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Elem, TensorData } from "../../src/tensor/tensor.ts";
import { createSafetensors, readSafetensors } from "../../src/weights/safetensors.ts";
import { copyElements } from "../../src/weights/store.ts";

const folder = mkdtempSync(join(tmpdir(), "aimcc-images-"));
afterAll(() => rmSync(folder, { recursive: true }));

const ROWS = [0, 5, 11];
const COLS = [0, 4, 7, 13];

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
  const [rows, cols] = [11, 13];
  const at = (i: number): [number, number] =>
    transposed ? [i % rows, Math.floor(i / rows)] : [Math.floor(i / cols), i % cols];
  const flat = Array.from({ length: rows * cols }, (_, i) => weight(elem, ...at(i)));
  const stored = fromNumbers(elem as Elem, [rows * cols], flat);
  const names = [0, 1].flatMap((r) => [0, 1, 2].map((c) => `w/${r}.${c}`));
  const grid = {
    elem,
    stored: transposed ? ([cols, rows] as const) : ([rows, cols] as const),
    transposed,
    rowSplits: ROWS,
    colSplits: COLS,
    values: names,
    scales: names.map((n) => `${n}/scale`),
  };
  const path = join(folder, `${elem}.${transposed}`);
  const file = createSafetensors(path, imageSpecs(grid));
  const read = (start: number, into: TensorData) => copyElements(stored.data, start, into);
  const isWhole = elem === "i8";
  expect(writeImages(grid, read, file)).toBe(isWhole);
  expect(countOdd(grid, read)).toEqual({ nan: isWhole ? 0 : 1, infinite: isWhole ? 0 : 1 });
  file.finish();
  file.close();
  const found = readSafetensors(path);
  for (const [i, name] of names.entries()) {
    const [r, c] = [Math.floor(i / 3), i % 3];
    const inside = (splits: readonly number[], k: number): number[] =>
      Array.from(
        { length: (splits[k + 1] ?? 0) - (splits[k] ?? 0) },
        (_, n) => n + (splits[k] ?? 0),
      );
    const block = inside(ROWS, r).map((y) => inside(COLS, c).map((x) => weight(elem, y, x)));
    const value = found.get(name);
    const scale = found.get(`${name}/scale`);
    if (!value || !scale) return expect.fail(name);
    expect(value.shape).toEqual([block.length, block[0]?.length]);
    expect(toNumbers(value)).toEqual(
      toNumbers(fromNumbers(elem, [block.flat().length], block.flat())),
    );
    const largest = inside(COLS, c).map((_, x) =>
      Math.max(2 ** -126, ...block.map((row) => Math.abs(row[x] ?? 0))),
    );
    expect([...(scale.data as Float32Array)]).toEqual(largest);
  }
});

test("what is not written whole is noticed", () => {
  const file = createSafetensors(join(folder, "half"), [{ name: "w", elem: "f32", shape: [2] }]);
  file.write("w", 1, new Uint8Array(4));
  expect(() => file.finish()).toThrow("'w' is not written whole".replaceAll("'", ""));
  expect(() => file.write("w", 1, new Uint8Array(8))).toThrow("too long");
  file.close();
});
