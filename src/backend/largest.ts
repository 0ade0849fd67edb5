/** gamma of the columns of a block: the largest absolute value of each. */

import { toF32 } from "../tensor/convert.ts";
import { type Elem, type TensorData, tensor } from "../tensor/tensor.ts";

/** The smallest scale: the smallest normal float32, so that a column of zeros can be divided by it. */
const LEAST = 2 ** -126;

/** Half floats of either kind, without their sign. */
const HALF = 0x7fff;
const SINGLE = 0x7fffffff;

/**
 * The largest absolute value of each column, of rows that come panel by panel. Floats without their sign
 * compare as the whole numbers that their bits are; infinity and NaN, in this order, are larger than all.
 */
export class Largest {
  private readonly elem: Elem;
  private readonly bits: Int32Array;

  constructor(elem: Elem, width: number) {
    this.elem = elem;
    this.bits = new Int32Array(width);
  }

  take(rows: TensorData): void {
    if (isHalf(this.elem)) takeBits(rows as Uint16Array, this.bits, HALF);
    else {
      const { buffer, byteOffset, length } = toF32(tensor(this.elem, [rows.length], rows));
      takeBits(new Int32Array(buffer, byteOffset, length), this.bits, SINGLE);
    }
  }

  /** Infinite or NaN for columns that hold such a value. */
  scales(): Float32Array {
    const { elem, bits } = this;
    const values = isHalf(elem)
      ? toF32(tensor(elem, [bits.length], Uint16Array.from(bits)))
      : new Float32Array(bits.buffer);
    return values.map((v) => Math.max(v, LEAST));
  }
}

const isHalf = (elem: Elem): boolean => elem === "f16" || elem === "bf16";

function larger(most: number, bits: number, unsigned: number): number {
  const size = bits & unsigned;
  if (size > most) return size;
  return most;
}

/** Four rows at a time: what is known so far is then loaded and stored a quarter as often. */
function takeBits(rows: Uint16Array | Int32Array, largest: Int32Array, unsigned: number): void {
  const width = largest.length;
  const fours = rows.length - (rows.length % (4 * width));
  for (let at = 0; at < fours; at += 4 * width) {
    for (let c = 0; c < width; c++) {
      const i = at + c;
      let most = largest[c] as number;
      most = larger(most, rows[i] as number, unsigned);
      most = larger(most, rows[i + width] as number, unsigned);
      most = larger(most, rows[i + 2 * width] as number, unsigned);
      largest[c] = larger(most, rows[i + 3 * width] as number, unsigned);
    }
  }
  for (let i = fours; i < rows.length; i++) {
    const c = i % width;
    largest[c] = larger(largest[c] as number, rows[i] as number, unsigned);
  }
}
