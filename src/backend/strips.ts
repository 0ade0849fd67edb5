/**
 * Strips of a weight: a row of blocks, or of a weight that is stored transposed a column of blocks, which is
 * what lies together in the file. A strip is read once, front to back, taken apart into its blocks, and the
 * largest absolute weight of every column is found on the way. Floats move through WebAssembly's memory, where
 * vector instructions do all of it in one pass.
 */

import { toF32 } from "../tensor/convert.ts";
import { allocate, bytesPer, type Elem, type TensorData, tensor } from "../tensor/tensor.ts";
import type { Wasm } from "../wasm/module.ts";
import { Largest, scalesOf } from "./largest.ts";

/** Fills `into` with stored elements from `start` on. */
export type Read = (start: number, into: TensorData) => void;

/** Some lines as they are stored, of `width` elements each. */
interface Lines {
  readonly first: number;
  readonly count: number;
  readonly width: number;
}

/** What is found in a panel: elements of the blocks, one after another, and the columns' largest magnitudes. */
export interface Taken {
  readonly values: Uint8Array;
  readonly scales: Float32Array;
}

/** Bytes that stay in the processor's second cache while they are worked on. */
const CACHED = 1 << 19;

/** Takes the strips of weights of one element type apart. What it gives is valid until it is used again. */
export interface Taker {
  /** Lines that are rows: those of block c have its columns colSplits[c] to colSplits[c + 1]. */
  rows(lines: Lines, colSplits: readonly number[], read: Read, first: boolean): Taken;
  /** Lines that are columns: the part of block r has its rows rowSplits[r] to rowSplits[r + 1]. */
  columns(lines: Lines, rowSplits: readonly number[], read: Read): readonly Taken[];
}

/** The weights that lines of stored integers stand for; `first` is the number of the first line. */
export type Real = (codes: TensorData, first: number) => Float32Array;

export const takerFor = (elem: Elem, wasm: Wasm, real?: Real): Taker =>
  elem === "f32" || elem === "f16" || elem === "bf16"
    ? new FloatTaker(elem, wasm)
    : new PlainTaker(elem, real);

const parts = (splits: readonly number[]): readonly (readonly [number, number])[] =>
  splits.slice(1).map((to, i) => [splits[i] ?? 0, to]);

/** How many lines at a time. */
const few = ({ count, width }: Lines, size: number): number =>
  Math.min(count, Math.max(1, Math.floor(CACHED / (width * size))));

/** Singles and halves, in WebAssembly's memory. */
class FloatTaker implements Taker {
  private readonly elem: Elem;
  private readonly size: number;
  private readonly wasm: Wasm;

  constructor(elem: Elem, wasm: Wasm) {
    this.elem = elem;
    this.size = bytesPer(elem);
    this.wasm = wasm;
  }

  rows(lines: Lines, colSplits: readonly number[], read: Read, first: boolean): Taken {
    const { elem, size } = this;
    const { count, width } = lines;
    const { call } = this.wasm;
    const take = elem === "f32" ? call.takeWords : call.takeHalves;
    const most = few(lines, size);
    // The largest come first: their place does not depend on the number of lines, so they outlive a panel.
    const [largest = 0, from = 0, to = 0] = this.room([width, most * width, count * width]);
    if (first) this.wasm.bytes(largest, width * size).fill(0);
    for (let k = 0; k < count; k += most) {
      const some = Math.min(most, count - k);
      read((lines.first + k) * width, this.elements(from, some * width));
      for (const [left, right] of parts(colSplits)) {
        const place = to + (left * count + k * (right - left)) * size;
        take(
          from + left * size,
          place,
          largest + left * size,
          some,
          (right - left) * size,
          width * size,
        );
      }
    }
    const values = this.wasm.bytes(to, count * width * size);
    return { values, scales: scalesOf(elem, this.elements(largest, width)) };
  }

  columns(lines: Lines, rowSplits: readonly number[], read: Read): readonly Taken[] {
    const { elem, size } = this;
    const { count, width } = lines;
    const { call } = this.wasm;
    const turn = elem === "f32" ? call.turnWords : call.turnHalves;
    const groups = parts(rowSplits);
    const [largest = 0, from = 0, to = 0] = this.room([
      groups.length * count,
      count * width,
      count * width,
    ]);
    this.wasm.bytes(largest, groups.length * count * size).fill(0);
    read(lines.first * width, this.elements(from, count * width));
    return groups.map(([top, bottom], r) => {
      const [place, most] = [to + top * count * size, largest + r * count * size];
      turn(from + top * size, place, most, bottom - top, count, width * size);
      const values = this.wasm.bytes(place, (bottom - top) * count * size);
      return { values, scales: scalesOf(elem, this.elements(most, count)) };
    });
  }

  /** Addresses of areas for so many elements each. */
  private room(counts: readonly number[]): readonly number[] {
    return this.wasm.scratch(counts.map((n) => Math.ceil((n * this.size) / 4)));
  }

  private elements(at: number, count: number): Float32Array | Uint16Array {
    const { buffer, byteOffset } = this.wasm.bytes(at, count * this.size);
    return this.elem === "f32"
      ? new Float32Array(buffer, byteOffset, count)
      : new Uint16Array(buffer, byteOffset, count);
  }
}

/** Every other element type: whole numbers, which are few, and doubles. */
class PlainTaker implements Taker {
  private readonly elem: Elem;
  private readonly real: Real;
  private largest = new Largest(0);

  constructor(elem: Elem, real: Real = (codes) => toF32(tensor(elem, [codes.length], codes))) {
    this.elem = elem;
    this.real = real;
  }

  rows(lines: Lines, colSplits: readonly number[], read: Read, first: boolean): Taken {
    const { count, width } = lines;
    if (first) this.largest = new Largest(width);
    const held = allocate(this.elem, count * width);
    read(lines.first * width, held);
    this.largest.take(this.real(held, lines.first));
    const pieces = allocate(this.elem, count * width);
    // Elements are only moved, whatever their type is.
    const [source, target] = [held as Float32Array, pieces as Float32Array];
    for (const [left, right] of parts(colSplits)) {
      for (let row = 0; row < count; row++) {
        const piece = source.subarray(row * width + left, row * width + right);
        target.set(piece, left * count + row * (right - left));
      }
    }
    return { values: bytesOf(pieces), scales: this.largest.scales() };
  }

  columns(lines: Lines, rowSplits: readonly number[], read: Read): readonly Taken[] {
    const { count, width } = lines;
    const held = allocate(this.elem, count * width);
    read(lines.first * width, held);
    const real = this.real(held, lines.first);
    return parts(rowSplits).map(([top, bottom]) => {
      const piece = allocate(this.elem, (bottom - top) * count);
      const weights = new Float32Array(piece.length);
      for (let i = top; i < bottom; i++) {
        for (let j = 0; j < count; j++) {
          const [from, to] = [j * width + i, (i - top) * count + j];
          (piece as Float32Array)[to] = (held as Float32Array)[from] as number;
          weights[to] = real[from] as number;
        }
      }
      const largest = new Largest(count);
      largest.take(weights);
      return { values: bytesOf(piece), scales: largest.scales() };
    });
  }
}

const bytesOf = (data: TensorData): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
