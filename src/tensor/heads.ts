/**
 * The products of one attention head after the other, in WebAssembly's memory: scores stay there from the first
 * product to the second.
 */

import { Wasm } from "../wasm/module.ts";

export interface HeadSizes {
  readonly queries: number;
  readonly keys: number;
  /** Of a query and a key. */
  readonly depth: number;
  /** Of a value. */
  readonly width: number;
}

let wasm: Wasm | undefined;

/** Valid until the next one is made. */
export class Heads {
  /** Distance of two rows of scores; what is behind the keys has to be 0 before `mix`. */
  readonly stride: number;
  /** [queries, stride]. */
  readonly scores: Float32Array;
  private readonly wasm: Wasm;
  private readonly sizes: HeadSizes;
  private readonly columns: number;
  private readonly at: Readonly<Record<"q" | "k" | "scores" | "v" | "out", number>>;

  constructor(sizes: HeadSizes) {
    wasm ??= new Wasm();
    const { queries, keys, depth, width } = sizes;
    const [stride, columns] = [keys, width].map((n) => Math.ceil(n / 8) * 8) as [number, number];
    const areas = [queries * depth, depth * stride, queries * stride, stride * columns];
    const [q = 0, k = 0, scores = 0, v = 0, out = 0] = wasm.scratch([...areas, queries * columns]);
    this.wasm = wasm;
    this.sizes = sizes;
    this.stride = stride;
    this.columns = columns;
    this.at = { q, k, scores, v, out };
    this.scores = wasm.view(scores, queries * stride);
    wasm.view(k, depth * stride).fill(0);
    wasm.view(v, stride * columns).fill(0);
  }

  /** keys [keys, depth] and values [keys, width] of the heads that follow. */
  look(keys: Float32Array, values: Float32Array): void {
    const { stride, columns, at, sizes } = this;
    const { depth, width } = sizes;
    const flipped = this.wasm.view(at.k, depth * stride);
    for (let r = 0; r < sizes.keys; r++) {
      for (let c = 0; c < depth; c++) flipped[c * stride + r] = keys[r * depth + c] as number;
    }
    const v = this.wasm.view(at.v, stride * columns);
    for (let r = 0; r < sizes.keys; r++) {
      for (let c = 0; c < width; c++) v[r * columns + c] = values[r * width + c] as number;
    }
  }

  /** scores := q [queries, depth] times the keys, times `scale`. */
  score(q: Float32Array, scale: number): void {
    const { stride, at, sizes } = this;
    const { queries, depth } = sizes;
    const { call } = this.wasm;
    this.wasm.view(at.q, queries * depth).set(q);
    call.matmul(at.q, at.k, at.scores, queries, depth, stride, stride, 8);
    call.scaled(at.scores, queries * stride, scale);
  }

  /** Softmax of n scores from a place on; `beside` is one more score, without a place. */
  softmax(place: number, n: number, beside: number): void {
    this.wasm.call.softmax(this.at.scores + 4 * place, n, beside);
  }

  /** out [queries, width] := scores times the values. */
  mix(out: Float32Array): void {
    const { stride, columns, at, sizes } = this;
    const { queries, width } = sizes;
    this.wasm.call.matmul(at.scores, at.v, at.out, queries, stride, columns, columns, 8);
    const y = this.wasm.view(at.out, queries * columns);
    if (columns === width) {
      out.set(y);
      return;
    }
    for (let i = 0; i < queries; i++) {
      out.set(y.subarray(i * columns, i * columns + width), i * width);
    }
  }
}
