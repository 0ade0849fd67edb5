/**
 * tiles.safetensors: what is programmed into each tile. Weights are read once, front to back, in panels that
 * span whole rows of what the file stores; no weight is ever held as a whole.
 */

import { toF32 } from "../tensor/convert.ts";
import {
  allocate,
  bytesPer,
  type Elem,
  type Tensor,
  type TensorData,
  tensor,
  toBytes,
} from "../tensor/tensor.ts";
import type { SafetensorsWriter, TensorSpec } from "../weights/safetensors.ts";

/** A matrix and the grid that it is cut into. */
export interface Grid {
  readonly elem: Elem;
  /** What the file stores: [in, out], or [out, in] when transposed. */
  readonly stored: readonly [rows: number, cols: number];
  readonly transposed: boolean;
  /** [0, …, in] and [0, …, out]. */
  readonly rowSplits: readonly number[];
  readonly colSplits: readonly number[];
  /** By block, row-major: names of its values [rows, cols] and of its scales [cols]. */
  readonly values: readonly string[];
  readonly scales: readonly string[];
}

/** Fills `into` with stored elements from `start` on. */
export type Read = (start: number, into: TensorData) => void;

/** Bytes of a panel, unless a single row is larger: enough to make reading and writing cheap. */
const PANEL = 1 << 25;

/** The smallest scale: the smallest normal float32, so that a column of zeros can be divided by it. */
const LEAST = 2 ** -126;

/** Specs of everything that `writeImages` writes of a grid. */
export function imageSpecs(grid: Grid): readonly TensorSpec[] {
  const { elem, values, scales } = grid;
  return values.flatMap((name, i): TensorSpec[] => {
    const [rows, cols] = sizeOfBlock(grid, i);
    return [
      { name, elem, shape: [rows, cols] },
      { name: scales[i] ?? "", elem: "f32", shape: [cols] },
    ];
  });
}

function sizeOfBlock({ rowSplits, colSplits }: Grid, i: number): readonly [number, number] {
  const width = colSplits.length - 1;
  const [r, c] = [Math.floor(i / width), i % width];
  return [part(rowSplits, r), part(colSplits, c)];
}

const part = (splits: readonly number[], i: number): number =>
  (splits[i + 1] ?? 0) - (splits[i] ?? 0);

/** Writes the blocks of a grid, and gamma of each column: its largest absolute weight in the block. */
export function writeImages(grid: Grid, read: Read, file: SafetensorsWriter): void {
  if (grid.transposed) writeTransposed(grid, read, file);
  else writeStraight(grid, read, file);
}

/** A panel is some rows of a row of blocks; each block takes its columns of it. */
function writeStraight(grid: Grid, read: Read, file: SafetensorsWriter): void {
  const { elem, rowSplits, colSplits, stored, values } = grid;
  const [, width] = stored;
  const most = Math.max(1, Math.floor(PANEL / (width * bytesPer(elem))));
  const buffers = buffersFor(elem);
  for (let r = 0; r + 1 < rowSplits.length; r++) {
    const [from = 0, to = 0] = rowSplits.slice(r, r + 2);
    const largest = new Largest(elem, width);
    for (let row = from; row < to; row += most) {
      const count = Math.min(most, to - row);
      const panel = buffers.panel(count * width);
      read(row * width, panel);
      largest.take(panel);
      for (let c = 0; c + 1 < colSplits.length; c++) {
        const cols = part(colSplits, c);
        const piece = buffers.piece(count * cols);
        takeColumns(panel, width, colSplits[c] ?? 0, piece, cols);
        const name = values[r * (colSplits.length - 1) + c] ?? "";
        file.write(name, (row - from) * cols, bytesOf(piece));
      }
    }
    writeScales(grid, r, largest.scales(), file);
  }
}

/** A panel is what the file stores of a column of blocks; each block is the transpose of a part of it. */
function writeTransposed(grid: Grid, read: Read, file: SafetensorsWriter): void {
  const { elem, rowSplits, colSplits, stored, values, scales } = grid;
  const [, width] = stored;
  const columns = colSplits.length - 1;
  const buffers = buffersFor(elem);
  for (let c = 0; c < columns; c++) {
    const cols = part(colSplits, c);
    const panel = buffers.panel(cols * width);
    read((colSplits[c] ?? 0) * width, panel);
    for (let r = 0; r + 1 < rowSplits.length; r++) {
      const rows = part(rowSplits, r);
      const piece = buffers.piece(rows * cols);
      transpose(panel, width, rowSplits[r] ?? 0, piece, cols);
      const largest = new Largest(elem, cols);
      largest.take(piece);
      file.write(values[r * columns + c] ?? "", 0, bytesOf(piece));
      file.write(scales[r * columns + c] ?? "", 0, bytesOf(largest.scales()));
    }
  }
}

function writeScales(grid: Grid, r: number, all: Float32Array, file: SafetensorsWriter): void {
  const { colSplits, scales } = grid;
  for (let c = 0; c + 1 < colSplits.length; c++) {
    const own = all.subarray(colSplits[c] ?? 0, colSplits[c + 1] ?? 0);
    file.write(scales[r * (colSplits.length - 1) + c] ?? "", 0, bytesOf(own));
  }
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

/** Elements are only moved here, whatever their type is. */
function takeColumns(
  panel: TensorData,
  width: number,
  from: number,
  into: TensorData,
  cols: number,
): void {
  const source = panel as Float32Array;
  const target = into as Float32Array;
  for (let at = 0, row = from; at < target.length; at += cols, row += width) {
    target.set(source.subarray(row, row + cols), at);
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

/** Bits of infinity: half floats of either kind without their sign compare as whole numbers up to it. */
const INFINITY_BITS: Partial<Record<Elem, number>> = { f16: 0x7c00, bf16: 0x7f80 };

/** The largest absolute value of each column, of rows that come panel by panel. NaN counts for nothing. */
class Largest {
  private readonly elem: Elem;
  private readonly bits: Uint16Array | null;
  private readonly values: Float32Array;

  constructor(elem: Elem, width: number) {
    this.elem = elem;
    this.bits = INFINITY_BITS[elem] ? new Uint16Array(width) : null;
    this.values = new Float32Array(this.bits ? 0 : width);
  }

  take(rows: TensorData): void {
    if (this.bits) {
      takeBits(rows as Uint16Array, this.bits, INFINITY_BITS[this.elem] ?? 0);
    } else {
      const numbers = toF32(tensor(this.elem, [rows.length], rows));
      takeNumbers(numbers, this.values);
    }
  }

  scales(): Float32Array {
    const found: Tensor | null = this.bits && tensor(this.elem, [this.bits.length], this.bits);
    return (found ? toF32(found) : this.values).map((v) => Math.max(v, LEAST));
  }
}

function takeBits(rows: Uint16Array, largest: Uint16Array, infinity: number): void {
  const width = largest.length;
  for (let at = 0; at < rows.length; at += width) {
    for (let c = 0; c < width; c++) {
      const size = (rows[at + c] as number) & 0x7fff;
      if (size > (largest[c] as number) && size <= infinity) largest[c] = size;
    }
  }
}

function takeNumbers(rows: Float32Array, largest: Float32Array): void {
  const width = largest.length;
  for (let at = 0; at < rows.length; at += width) {
    for (let c = 0; c < width; c++) {
      const size = Math.abs(rows[at + c] as number);
      if (size > (largest[c] as number)) largest[c] = size;
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
