/** gamma of the columns of a block: the largest absolute value of each. */

import { toF32 } from "../tensor/convert.ts";
import { type Elem, type Tensor, type TensorData, tensor } from "../tensor/tensor.ts";

/** The smallest scale: the smallest normal float32, so that a column of zeros can be divided by it. */
const LEAST = 2 ** -126;

/** Bits of infinity: half floats of either kind without their sign compare as whole numbers up to it. */
const INFINITY_BITS: Partial<Record<Elem, number>> = { f16: 0x7c00, bf16: 0x7f80 };

/** The largest absolute value of each column, of rows that come panel by panel. NaN counts for nothing. */
export class Largest {
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

/** Unlike Math.max, which NaN would win. */
function larger(most: number, size: number): number {
  if (size > most) return size;
  return most;
}

/** Four rows at a time: what is known so far is then loaded and stored a quarter as often. */
function takeNumbers(rows: Float32Array, largest: Float32Array): void {
  const width = largest.length;
  const fours = rows.length - (rows.length % (4 * width));
  for (let at = 0; at < fours; at += 4 * width) {
    for (let c = 0; c < width; c++) {
      const i = at + c;
      let most = largest[c] as number;
      most = larger(most, Math.abs(rows[i] as number));
      most = larger(most, Math.abs(rows[i + width] as number));
      most = larger(most, Math.abs(rows[i + 2 * width] as number));
      largest[c] = larger(most, Math.abs(rows[i + 3 * width] as number));
    }
  }
  for (let i = fours; i < rows.length; i++) {
    const c = i % width;
    largest[c] = larger(largest[c] as number, Math.abs(rows[i] as number));
  }
}

function largerBits(most: number, bits: number, infinity: number): number {
  const size = bits & 0x7fff;
  return size > most && size <= infinity ? size : most;
}

function takeBits(rows: Uint16Array, largest: Uint16Array, infinity: number): void {
  const width = largest.length;
  const fours = rows.length - (rows.length % (4 * width));
  for (let at = 0; at < fours; at += 4 * width) {
    for (let c = 0; c < width; c++) {
      const i = at + c;
      let most = largest[c] as number;
      most = largerBits(most, rows[i] as number, infinity);
      most = largerBits(most, rows[i + width] as number, infinity);
      most = largerBits(most, rows[i + 2 * width] as number, infinity);
      largest[c] = largerBits(most, rows[i + 3 * width] as number, infinity);
    }
  }
  for (let i = fours; i < rows.length; i++) {
    const c = i % width;
    largest[c] = largerBits(largest[c] as number, rows[i] as number, infinity);
  }
}
