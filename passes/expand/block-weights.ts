/**
 * Matrices of small integers that ONNX Runtime's operators keep packed in bytes, as ONNX has them: integers,
 * with scales and zero points, one for each block along their rows. Not a bit of them is lost or rounded.
 */

import type { Value } from "../../src/ir/op.ts";
import { fromNumbers, toF32, toNumbers } from "../../src/tensor/convert.ts";
import { allocate, type Elem, isFloat, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { type Builder, cannot } from "./builder.ts";
import { dimsOf, elemOf, reshape } from "./write.ts";

export interface Packed {
  /** Bytes: rows of codes one after another, the low bits first. */
  readonly codes: Value;
  readonly bits: number;
  /** The matrices' real axes: [rows, columns], or [matrices, rows, columns]. */
  readonly shape: readonly number[];
  readonly block: number;
  /** One for each block, in the order of rows; a row has ceil(columns / block) of them. */
  readonly scales: Value;
  /** Packed like the codes, or real numbers; the middle code without. */
  readonly zeros: Value | null | undefined;
  /** The order in which columns are read; their own without. */
  readonly order?: readonly number[] | undefined;
}

/** What stands in for the bytes. */
export interface Unpacked {
  /** Integers of the matrices' shape. */
  readonly codes: Value;
  /** The shape with blocks in place of columns. */
  readonly scales: Value;
  readonly zeros: Value;
  /** Real zero points less `zeros`, where they are not equal: as `scales`. */
  readonly beside: Tensor | null;
}

/** Two bits fit into four, the smallest integer that ONNX always had. */
const elemOfBits = (bits: number): Elem => (bits === 8 ? "ui8" : "ui4");

/** Rows of `width` codes; those of a row begin with a byte. */
function codesIn(packed: Tensor, bits: number, rows: number, width: number): Tensor {
  const elem = elemOfBits(bits);
  const bytes = packed.data as Uint8Array;
  const stride = bytes.length / rows;
  const data = allocate(elem, rows * width);
  const mask = (1 << bits) - 1;
  for (let r = 0, at = 0; r < rows; r++) {
    for (let c = 0; c < width; c++, at++) {
      const bit = c * bits;
      data[at] = ((bytes[r * stride + (bit >> 3)] as number) >> (bit & 7)) & mask;
    }
  }
  return { elem, shape: [rows, width], data };
}

function inOrder(t: Tensor, order: readonly number[]): Tensor {
  const data = allocate(t.elem, t.data.length);
  const width = order.length;
  for (let at = 0; at < data.length; at += width) {
    for (let c = 0; c < width; c++) data[at + c] = t.data[at + (order[c] as number)] as number;
  }
  return { ...t, data };
}

const constant = (b: Builder, v: Value, what: string): Tensor =>
  b.valueOf(v) ?? cannot(`its ${what} are not constant`);

export function unpacked(b: Builder, packed: Packed): Unpacked {
  const { codes, bits, shape, block, order } = packed;
  if (![2, 4, 8].includes(bits)) cannot(`${bits}-bit weights are not supported`);
  if (!b.isConstant(codes)) cannot("its weights are not constant");
  const [width = 1] = shape.slice(-1);
  const rows = sizeOf(shape.slice(0, -1));
  if (sizeOf(dimsOf(codes)) < rows * Math.ceil((width * bits) / 8)) {
    cannot(`its weights are fewer than ${shape.join(" x ")}`);
  }
  const how = order ? "codes_in_order" : "codes";
  const integers = b.late(codes, how, { elem: elemOfBits(bits), shape }, () => {
    const all = codesIn(constant(b, codes, "weights"), bits, rows, width);
    return { ...(order ? inOrder(all, order) : all), shape };
  });
  const own = shape.with(-1, Math.ceil(width / block));
  return { codes: integers, scales: shaped(b, packed.scales, own), ...zeroPoints(b, packed, own) };
}

/** A constant under the shape that its elements are in. */
function shaped(b: Builder, v: Value, shape: readonly number[]): Value {
  if (!b.isConstant(v)) cannot("its scales are not constant");
  if (sizeOf(dimsOf(v)) !== sizeOf(shape)) cannot(`its scales are not ${shape.join(" x ")}`);
  return String(dimsOf(v)) === String(shape) ? v : reshape(b, v, shape);
}

function zeroPoints(
  b: Builder,
  { bits, zeros, scales, codes }: Packed,
  shape: readonly number[],
): Pick<Unpacked, "zeros" | "beside"> {
  const elem = elemOfBits(bits);
  const middle = 2 ** (bits - 1);
  if (!zeros) {
    const all = fromNumbers(elem, shape, new Array(sizeOf(shape)).fill(middle));
    return { zeros: b.weight(all, scales), beside: null };
  }
  const given = constant(b, zeros, "zero points");
  if (isFloat(elemOf(zeros))) return realZeros(b, toNumbers(given), shape, { elem, codes });
  const [count = 1] = shape.slice(-1);
  // One zero point for each row may be packed along the rows of a matrix, several are along the row.
  const isColumn = count === 1 && given.data.length < sizeOf(shape);
  const [rows, width] = isColumn
    ? [shape[0] ?? 1, shape[1] ?? 1]
    : [sizeOf(shape.slice(0, -1)), count];
  const all = codesIn(given, bits, rows, width);
  return { zeros: b.weight({ ...all, shape }, zeros), beside: null };
}

/** Zero points between the codes: the nearest codes, and how far off they are. */
function realZeros(
  b: Builder,
  given: readonly number[],
  shape: readonly number[],
  { elem, codes }: { readonly elem: Elem; readonly codes: Value },
): Pick<Unpacked, "zeros" | "beside"> {
  const most = elem === "ui8" ? 255 : 15;
  const near = given.map((z) => Math.min(most, Math.max(0, Math.round(z))));
  const beside = given.map((z, i) => z - (near[i] as number));
  const zeros = b.weight(fromNumbers(elem, shape, near), codes);
  const isWhole = beside.every((d) => d === 0);
  return { zeros, beside: isWhole ? null : fromNumbers("f32", shape, beside) };
}

/** The matrices as real numbers of the scales' type; the compiler keeps them as the integers that they are. */
export const dequantised = (b: Builder, { codes, scales, zeros }: Unpacked, block: number): Value =>
  b.op("DequantizeLinear", [codes, scales, zeros], {
    axis: codes.type.shape.length - 1,
    block_size: block,
  });

/** What real zero points add to a product: one for each block and row, [blocks, rows]. */
export function besideScaled({ beside }: Unpacked, scales: Tensor): Tensor | null {
  if (!beside) return null;
  const [rows = 1, blocks = 1] = beside.shape;
  const [offsets, by] = [toF32(beside), toF32(scales)];
  const data = new Float32Array(rows * blocks);
  for (let r = 0; r < rows; r++) {
    for (let k = 0; k < blocks; k++) {
      const at = r * blocks + k;
      data[k * rows + r] = -(offsets[at] as number) * (by[at] as number);
    }
  }
  return { elem: "f32", shape: [blocks, rows], data };
}
