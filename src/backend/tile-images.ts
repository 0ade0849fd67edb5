/**
 * tiles.safetensors: what is programmed into each tile. Weights are read once, front to back, strip by strip
 * (strips.ts); no weight is ever held as a whole.
 */

import type { Device } from "../target/device.ts";
import { programmingError } from "../target/device-error.ts";
import { type ColumnChoice, columnScales } from "../tensor/column-scales.ts";
import { toF32 } from "../tensor/convert.ts";
import type { Choice } from "../tensor/full-scale.ts";
import { allocate, bytesPer, type Elem, tensor } from "../tensor/tensor.ts";
import type { TensorSpec } from "../weights/safetensors.ts";
import type { Read, Taker } from "./strips.ts";

/** A matrix and the grid that it is cut into. */
export interface Grid {
  readonly elem: Elem;
  /** What the file stores: [in, out], or [out, in] when transposed. */
  readonly stored: readonly [rows: number, cols: number];
  readonly transposed: boolean;
  /** [0, …, in] and [0, …, out]. */
  readonly rowSplits: readonly number[];
  readonly colSplits: readonly number[];
  /** Names of the values, block after block, [in * out], and of the scales [row blocks, out]. */
  readonly values: string;
  readonly scales: string;
  /** How gamma is chosen. Absent: it is the largest weight. */
  readonly columns?: ColumnWays;
}

/** Plain data, which threads are given. */
export interface ColumnWays {
  readonly choice: Choice;
  readonly device: Device;
}

export const choiceOf = ({ choice, device }: ColumnWays): ColumnChoice => ({
  choice,
  errorAt: programmingError(device),
});

/** Takes bytes of a tensor of the file from its element `start` on. */
export interface Sink {
  values(start: number, bytes: Uint8Array): void;
  scales(start: number, bytes: Uint8Array): void;
}

/** Bytes of a panel, unless a single row is larger: enough to make reading and writing cheap. */
const PANEL = 1 << 25;

/** Specs of everything that is written of a grid. */
export function imageSpecs(grid: Grid): readonly [values: TensorSpec, scales: TensorSpec] {
  const { elem, rowSplits, colSplits, values, scales } = grid;
  const [rows = 0, cols = 0] = [rowSplits.at(-1), colSplits.at(-1)];
  return [
    { name: values, elem, shape: [rows * cols] },
    { name: scales, elem: "f32", shape: [rowSplits.length - 1, cols] },
  ];
}

/** Rows of blocks, or columns of blocks of a weight that is stored transposed. */
export const stripCount = ({ transposed, rowSplits, colSplits }: Grid): number =>
  (transposed ? colSplits : rowSplits).length - 1;

/** Where block (r, c) begins among the values: blocks lie one after another, row-major. */
function firstOf({ rowSplits, colSplits }: Grid, r: number, c: number): number {
  const cols = colSplits.at(-1) ?? 0;
  return (rowSplits[r] ?? 0) * cols + part(rowSplits, r) * (colSplits[c] ?? 0);
}

const part = (splits: readonly number[], i: number): number =>
  (splits[i + 1] ?? 0) - (splits[i] ?? 0);

/**
 * Writes the blocks of a strip, and gamma of each column: its largest absolute weight in the block. False when
 * there are infinite weights or NaN among them.
 */
export const writeStrip = (
  grid: Grid,
  strip: number,
  read: Read,
  sink: Sink,
  taker: Taker,
): boolean =>
  grid.transposed
    ? writeColumns(grid, strip, read, sink, taker)
    : writeRows(grid, strip, read, sink, taker);

/** A panel is some rows of a row of blocks; each block takes its columns of it. */
function writeRows(grid: Grid, r: number, read: Read, sink: Sink, taker: Taker): boolean {
  const { elem, rowSplits, colSplits, stored } = grid;
  const [, width] = stored;
  const most = Math.max(1, Math.floor(PANEL / (width * bytesPer(elem))));
  const [from = 0, to = 0] = rowSplits.slice(r, r + 2);
  let scales: Float32Array = new Float32Array(0);
  for (let row = from; row < to; row += most) {
    const lines = { first: row, count: Math.min(most, to - row), width };
    const taken = taker.rows(lines, colSplits, read, row === from);
    writePanel(grid, r, lines, taken.values, sink);
    scales = taken.scales;
  }
  if (grid.columns) {
    const values = elementsOf(grid, read, from * width, (to - from) * width);
    scales = columnScales(values, width, choiceOf(grid.columns));
  }
  sink.scales(r * width, bytesOf(scales));
  return scales.every(Number.isFinite);
}

/** Elements of the matrix as the file has them. */
function elementsOf({ elem }: Grid, read: Read, first: number, count: number): Float32Array {
  const data = allocate(elem, count);
  read(first, data);
  return toF32(tensor(elem, [count], data));
}

/** The rows of each block follow one another; a panel of all rows of the blocks is written at once. */
function writePanel(
  grid: Grid,
  r: number,
  { first, count }: { readonly first: number; readonly count: number },
  values: Uint8Array,
  sink: Sink,
): void {
  const { elem, rowSplits, colSplits } = grid;
  if (count === part(rowSplits, r)) {
    sink.values(firstOf(grid, r, 0), values);
    return;
  }
  const skipped = first - (rowSplits[r] ?? 0);
  const row = count * bytesPer(elem);
  for (let c = 0; c + 1 < colSplits.length; c++) {
    const [left = 0, right = 0] = colSplits.slice(c, c + 2);
    const start = firstOf(grid, r, c) + skipped * (right - left);
    sink.values(start, values.subarray(left * row, right * row));
  }
}

/** What the file stores of a column of blocks; each block is the transpose of a part of it. */
function writeColumns(grid: Grid, c: number, read: Read, sink: Sink, taker: Taker): boolean {
  const { rowSplits, colSplits, stored } = grid;
  const [cols, width] = stored;
  const left = colSplits[c] ?? 0;
  const lines = { first: left, count: part(colSplits, c), width };
  let finite = true;
  for (const [r, { values, scales: largest }] of taker.columns(lines, rowSplits, read).entries()) {
    sink.values(firstOf(grid, r, c), values);
    const scales = grid.columns ? chosenScales(grid, values, lines.count, grid.columns) : largest;
    sink.scales(r * cols + left, bytesOf(scales));
    finite &&= scales.every(Number.isFinite);
  }
  return finite;
}

/** For a block as it is written, [rows, cols]. */
function chosenScales({ elem }: Grid, block: Uint8Array, cols: number, ways: ColumnWays) {
  const data = allocate(elem, block.byteLength / bytesPer(elem));
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength).set(block);
  return columnScales(toF32(tensor(elem, [data.length], data)), cols, choiceOf(ways));
}

const bytesOf = (data: Float32Array): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
