/**
 * Tile images of integers that are quantised by blocks: the integers as the file has them, what makes them real,
 * and gamma of each column, which is of the real numbers that the devices hold.
 */

import { blocksOf, type MappedWeight } from "../artifact/mapping.ts";
import { weightAttr } from "../ir/attrs.ts";
import { blockScalesOf } from "../ir/dialects/nn/linear.ts";
import { isTensorAttr, type Op, type WeightRef } from "../ir/op.ts";
import { realNumbers } from "../tensor/block-scales.ts";
import { type ColumnChoice, columnScales } from "../tensor/column-scales.ts";
import {
  allocate,
  type Elem,
  type Tensor,
  type TensorData,
  tensor,
  toBytes,
} from "../tensor/tensor.ts";
import { elementsOf, scalesFor, storedScales } from "../weights/block-scales.ts";
import type { SafetensorsWriter, TensorSpec } from "../weights/safetensors.ts";
import type { WeightStore } from "../weights/store.ts";

/** Specs of scales and zero points; none for weights without. */
export function scalingSpecs({ quantised, rows, cols }: MappedWeight, op: Op): TensorSpec[] {
  const scaling = blockScalesOf(op);
  if (!scaling || !quantised) return [];
  const shape = [Math.ceil(rows / quantised.block), cols];
  const { scales, zeros } = scaling;
  const specs = [{ name: quantised.scales, elem: elemOf(scales), shape }];
  if (zeros && quantised.zeros) specs.push({ name: quantised.zeros, elem: elemOf(zeros), shape });
  return specs;
}

const elemOf = (c: WeightRef | Tensor): Elem => (isTensorAttr(c) ? c : c.type).elem;

/** Writes all tensors of a weight that is quantised by blocks. False when a scale is no finite number. */
export function writeScaled(
  weight: MappedWeight,
  op: Op,
  store: WeightStore,
  file: SafetensorsWriter,
  columns: ColumnChoice | undefined,
): boolean {
  writeScaling(weight, op, store, file);
  return weight.transposed
    ? writeColumns(weight, op, store, file, columns)
    : writeRows(weight, op, store, file, columns);
}

/** How many scales are infinite, and how many are no numbers. */
export function countOddScales(op: Op, store: WeightStore) {
  const all = Array.from(scalesFor(op, store)?.scales ?? []);
  const nan = all.filter(Number.isNaN).length;
  return { nan, infinite: all.filter((v) => !Number.isFinite(v)).length - nan };
}

function writeScaling(weight: MappedWeight, op: Op, store: WeightStore, file: SafetensorsWriter) {
  const { quantised, rows, cols, transposed } = weight;
  const scaling = blockScalesOf(op);
  if (!scaling || !quantised) throw new Error(`${weight.name} has no scales`);
  const { scales, zeros } = storedScales(op, scaling, store);
  const blocks = Math.ceil(rows / quantised.block);
  const turned = (t: Tensor) => {
    if (!transposed) return toBytes(t);
    const data = allocate(t.elem, t.data.length);
    transpose(t.data, blocks, [0, blocks], data);
    return toBytes(tensor(t.elem, [blocks, cols], data));
  };
  file.write(quantised.scales, 0, turned(scales));
  if (zeros && quantised.zeros) file.write(quantised.zeros, 0, turned(zeros));
}

/** Reads stored rows `from` to `to` of the weight's own matrix, with the real numbers they stand for. */
function reader({ rows, cols, slice = 0, transposed }: MappedWeight, op: Op, store: WeightStore) {
  const width = transposed ? rows : cols;
  const scales = scalesFor(op, store);
  if (!scales) throw new Error("the weight has no scales");
  return (from: number, to: number) => {
    const first = rows * cols * slice + from * width;
    const codes = elementsOf(weightAttr(op, "weight"), store, first, (to - from) * width);
    const part = { firstRow: from, firstColumn: 0, columns: width, allColumns: width };
    return { codes, real: realNumbers(codes.data, scales, part) };
  };
}

/** The file has rows of inputs: a row of blocks at a time. */
function writeRows(
  weight: MappedWeight,
  op: Op,
  store: WeightStore,
  file: SafetensorsWriter,
  columns: ColumnChoice | undefined,
) {
  const { rowSplits, cols } = weight;
  const read = reader(weight, op, store);
  const blocks = blocksOf(weight);
  let finite = true;
  for (const [r, from] of rowSplits.slice(0, -1).entries()) {
    const { codes, real } = read(from, rowSplits[r + 1] ?? 0);
    for (const { rows, cols: own, firstValue } of blocks.filter((b) => b.rows[0] === from)) {
      const piece = allocate(codes.elem, (rows[1] - rows[0]) * (own[1] - own[0]));
      cutColumns(codes.data, cols, own, piece);
      file.write(weight.values, firstValue, toBytes(tensor(codes.elem, [piece.length], piece)));
    }
    const gamma = columnScales(real, cols, columns);
    finite &&= gamma.every(Number.isFinite);
    file.write(weight.scales, r * cols, new Uint8Array(gamma.buffer));
  }
  return finite;
}

/** The file has rows of outputs: a column of blocks at a time. */
function writeColumns(
  weight: MappedWeight,
  op: Op,
  store: WeightStore,
  file: SafetensorsWriter,
  columns: ColumnChoice | undefined,
) {
  const { colSplits, rows: width } = weight;
  const read = reader(weight, op, store);
  const blocks = blocksOf(weight);
  let finite = true;
  for (const [c, from] of colSplits.slice(0, -1).entries()) {
    const { codes, real } = read(from, colSplits[c + 1] ?? 0);
    for (const { rows, cols, firstValue, firstScale } of blocks) {
      if (cols[0] !== from) continue;
      const count = cols[1] - cols[0];
      const piece = allocate(codes.elem, (rows[1] - rows[0]) * count);
      transpose(codes.data, width, rows, piece);
      file.write(weight.values, firstValue, toBytes(tensor(codes.elem, [piece.length], piece)));
      const own = new Float32Array(piece.length);
      transpose(real, width, rows, own);
      const gamma = columnScales(own, count, columns);
      finite &&= gamma.every(Number.isFinite);
      file.write(weight.scales, firstScale, new Uint8Array(gamma.buffer));
    }
  }
  return finite;
}

/** Columns [from, to) of rows of `width`. */
function cutColumns(
  data: TensorData,
  width: number,
  [from, to]: readonly [number, number],
  into: TensorData,
): void {
  const [source, target] = [data as Int8Array, into as Int8Array];
  for (let at = 0, row = 0; row < source.length; row += width, at += to - from) {
    target.set(source.subarray(row + from, row + to), at);
  }
}

/** into[i, j] = data[j, from + i], where rows of data are `width` long. */
function transpose(
  data: TensorData,
  width: number,
  [from, to]: readonly [number, number],
  into: TensorData,
): void {
  const [source, target] = [data as Float32Array, into as Float32Array];
  const count = source.length / width;
  for (let i = from, at = 0; i < to; i++) {
    for (let j = 0; j < count; j++, at++) target[at] = source[j * width + i] as number;
  }
}
