/**
 * tiles.safetensors: what is programmed into each tile. Weights are read once, front to back, in panels that
 * span whole rows of what the file stores; no weight is ever held as a whole.
 */

import { toF32 } from "../tensor/convert.ts";
import {
  allocate,
  bytesPer,
  type Elem,
  type TensorData,
  tensor,
  toBytes,
} from "../tensor/tensor.ts";
import type { SafetensorsWriter, TensorSpec } from "../weights/safetensors.ts";
import { Largest } from "./largest.ts";

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
}

/** Fills `into` with stored elements from `start` on. */
export type Read = (start: number, into: TensorData) => void;

/** Bytes of a panel, unless a single row is larger: enough to make reading and writing cheap. */
const PANEL = 1 << 25;

/** Bytes that stay in the processor's second cache while they are worked on. */
const CACHED = 1 << 19;

/** Specs of everything that `writeImages` writes of a grid. */
export function imageSpecs(grid: Grid): readonly TensorSpec[] {
  const { elem, rowSplits, colSplits, values, scales } = grid;
  const [rows = 0, cols = 0] = [rowSplits.at(-1), colSplits.at(-1)];
  return [
    { name: values, elem, shape: [rows * cols] },
    { name: scales, elem: "f32", shape: [rowSplits.length - 1, cols] },
  ];
}

/** Where block (r, c) begins among the values: blocks lie one after another, row-major. */
function firstOf({ rowSplits, colSplits }: Grid, r: number, c: number): number {
  const cols = colSplits.at(-1) ?? 0;
  return (rowSplits[r] ?? 0) * cols + part(rowSplits, r) * (colSplits[c] ?? 0);
}

const part = (splits: readonly number[], i: number): number =>
  (splits[i + 1] ?? 0) - (splits[i] ?? 0);

/**
 * Writes the blocks of a grid, and gamma of each column: its largest absolute weight in the block. False when
 * there are infinite weights or NaN among them.
 */
export const writeImages = (grid: Grid, read: Read, file: SafetensorsWriter): boolean =>
  grid.transposed ? writeTransposed(grid, read, file) : writeStraight(grid, read, file);

/** A panel is some rows of a row of blocks; each block takes its columns of it. */
function writeStraight(grid: Grid, read: Read, file: SafetensorsWriter): boolean {
  let finite = true;
  const { elem, rowSplits, stored } = grid;
  const [, width] = stored;
  const most = rowsIn(PANEL, width * bytesPer(elem));
  const buffers = buffersFor(elem);
  for (let r = 0; r + 1 < rowSplits.length; r++) {
    const [from = 0, to = 0] = rowSplits.slice(r, r + 2);
    const largest = new Largest(elem, width);
    for (let row = from; row < to; row += most) {
      const count = Math.min(most, to - row);
      const pieces = takePanel(grid, [row, count], read, largest, buffers);
      writePanel(grid, r, [row, count], pieces, file);
    }
    const scales = largest.scales();
    finite &&= scales.every(Number.isFinite);
    file.write(grid.scales, r * width, bytesOf(scales));
  }
  return finite;
}

/** The rows of each block follow one another; a panel of all rows of the blocks is written at once. */
function writePanel(
  grid: Grid,
  r: number,
  [row, count]: readonly [number, number],
  pieces: TensorData,
  file: SafetensorsWriter,
): void {
  const { rowSplits, colSplits, values } = grid;
  if (count === part(rowSplits, r)) {
    file.write(values, firstOf(grid, r, 0), bytesOf(pieces));
    return;
  }
  const skipped = row - (rowSplits[r] ?? 0);
  for (let c = 0; c + 1 < colSplits.length; c++) {
    const [first = 0, last = 0] = colSplits.slice(c, c + 2);
    const piece = pieces.subarray(first * count, last * count);
    file.write(values, firstOf(grid, r, c) + skipped * (last - first), bytesOf(piece));
  }
}

/**
 * The rows of a panel, taken apart: block after block, each with its part of all rows. Rows come in few enough
 * at a time that they are still in the processor's cache when they are looked at and taken apart.
 */
function takePanel(
  { elem, stored: [, width], colSplits }: Grid,
  [row, count]: readonly [number, number],
  read: Read,
  largest: Largest,
  buffers: ReturnType<typeof buffersFor>,
): TensorData {
  const few = rowsIn(CACHED, width * bytesPer(elem));
  const pieces = buffers.piece(count * width);
  for (let k = 0; k < count; k += few) {
    const lines = buffers.panel(Math.min(few, count - k) * width);
    read((row + k) * width, lines);
    largest.take(lines);
    for (let c = 0; c + 1 < colSplits.length; c++) {
      takeColumns(lines, width, colSplits, c, pieces, count, k);
    }
  }
  return pieces;
}

const rowsIn = (bytes: number, row: number): number => Math.max(1, Math.floor(bytes / row));

/** A panel is what the file stores of a column of blocks; each block is the transpose of a part of it. */
function writeTransposed(grid: Grid, read: Read, file: SafetensorsWriter): boolean {
  let finite = true;
  const { elem, rowSplits, colSplits, stored, values, scales } = grid;
  const [all, width] = stored;
  const buffers = buffersFor(elem);
  for (let c = 0; c + 1 < colSplits.length; c++) {
    const cols = part(colSplits, c);
    const panel = buffers.panel(cols * width);
    read((colSplits[c] ?? 0) * width, panel);
    for (let r = 0; r + 1 < rowSplits.length; r++) {
      const rows = part(rowSplits, r);
      const piece = buffers.piece(rows * cols);
      transpose(panel, width, rowSplits[r] ?? 0, piece, cols);
      const largest = new Largest(elem, cols);
      largest.take(piece);
      file.write(values, firstOf(grid, r, c), bytesOf(piece));
      const gammas = largest.scales();
      finite &&= gammas.every(Number.isFinite);
      file.write(scales, r * all + (colSplits[c] ?? 0), bytesOf(gammas));
    }
  }
  return finite;
}

/** How many elements of a grid are infinite, and how many are no numbers. */
export function countOdd({ elem, stored: [rows, width] }: Grid, read: Read) {
  let [infinite, nan] = [0, 0];
  const line = allocate(elem, width);
  for (let row = 0; row < rows; row++) {
    read(row * width, line);
    for (const v of toF32(tensor(elem, [width], line))) {
      if (Number.isNaN(v)) nan += 1;
      else if (!Number.isFinite(v)) infinite += 1;
    }
  }
  return { infinite, nan };
}

const bytesOf = (data: TensorData): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Two arrays that grow as needed and are used again, so that nothing is left to the garbage collector. */
function buffersFor(elem: Elem) {
  const growing = () => {
    let held = allocate(elem, 0);
    return (length: number): TensorData => {
      if (held.length < length) held = allocate(elem, length);
      return held.subarray(0, length);
    };
  };
  return { panel: growing(), piece: growing() };
}

/** Puts column block `c` of some lines, the k-th and following of `count`, into its place of the pieces. */
function takeColumns(
  lines: TensorData,
  width: number,
  colSplits: readonly number[],
  c: number,
  pieces: TensorData,
  count: number,
  k: number,
): void {
  const [first = 0, last = 0] = colSplits.slice(c, c + 2);
  // Elements are only moved, whatever their type is.
  const source = lines as Float32Array;
  const target = pieces as Float32Array;
  let at = first * count + k * (last - first);
  for (let row = 0; row < source.length; row += width, at += last - first) {
    target.set(source.subarray(row + first, row + last), at);
  }
}

/** Squares of this size fit the processor's first cache, in source and target. */
const SQUARE = 32;

/** into[i, j] = panel[j, from + i], with `cols` columns j. */
function transpose(
  panel: TensorData,
  width: number,
  from: number,
  into: TensorData,
  cols: number,
): void {
  const source = panel as Float32Array;
  const target = into as Float32Array;
  const rows = target.length / cols;
  for (let i0 = 0; i0 < rows; i0 += SQUARE) {
    const i1 = Math.min(rows, i0 + SQUARE);
    for (let j0 = 0; j0 < cols; j0 += SQUARE) {
      const j1 = Math.min(cols, j0 + SQUARE);
      for (let i = i0; i < i1; i++) {
        for (let j = j0; j < j1; j++) {
          target[i * cols + j] = source[j * width + from + i] as number;
        }
      }
    }
  }
}

/** Writes a constant as it is, piece by piece. */
export function copyConstant(
  { name, elem, shape }: TensorSpec,
  read: Read,
  file: SafetensorsWriter,
): void {
  const length = shape.reduce((a, b) => a * b, 1);
  const most = PANEL / bytesPer(elem);
  const buffer = allocate(elem, Math.min(length, most));
  for (let at = 0; at < length; at += most) {
    const piece = buffer.subarray(0, Math.min(most, length - at));
    read(at, piece);
    file.write(name, at, toBytes(tensor(elem, [piece.length], piece)));
  }
}
