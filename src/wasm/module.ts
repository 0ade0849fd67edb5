/** The compiled inner loops, instantiated; see kernels.as.ts for what each function does. */

import { KERNELS_WASM } from "./kernels.gen.ts";

/** What this file uses of WebAssembly; the types of Node name none of it. */
interface Engine {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

const { Module, Instance } = (globalThis as unknown as { readonly WebAssembly: Engine })
  .WebAssembly;

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): void };
  heapBase(): number;
  matmul(
    a: number,
    b: number,
    out: number,
    m: number,
    k: number,
    n: number,
    bRow: number,
    bPanel: number,
  ): void;
  crossbarSums(
    x: number,
    w: number,
    r: number,
    dot: number,
    power: number,
    load: number,
    far: number,
    m: number,
    k: number,
    n: number,
  ): void;
  dac(x: number, count: number, range: number, bound: number, step: number): void;
  adc(y: number, scale: number, m: number, n: number, bound: number, step: number): void;
  disturb(
    dot: number,
    power: number,
    load: number,
    far: number,
    z: number,
    count: number,
    irLoad: number,
    irScale: number,
    outNoise: number,
    readNoise: number,
  ): void;
  takeWords: Take;
  takeHalves: Take;
  turnWords: Take;
  turnHalves: Take;
  words: Draw;
  gaussians: Draw;
}

/** cols and width are bytes where rows are taken, and columns and bytes where lines are turned. */
type Take = (
  from: number,
  to: number,
  largest: number,
  rows: number,
  cols: number,
  width: number,
) => void;

type Draw = (
  out: number,
  count: number,
  k0: number,
  k1: number,
  c1: number,
  c2: number,
  c3: number,
) => void;

const PAGE = 65536;

let compiled: object | undefined;

/** One instance with its own linear memory, which only ever grows. */
export class Wasm {
  readonly call: Exports;
  /** First free byte. */
  private top: number;

  constructor() {
    compiled ??= new Module(Buffer.from(KERNELS_WASM, "base64"));
    this.call = new Instance(compiled).exports as Exports;
    this.top = align(this.call.heapBase());
  }

  /** Reserves room for `count` f32 for good and gives its byte address. */
  reserve(count: number): number {
    const at = this.top;
    this.top = align(at + count * 4);
    this.ensure(this.top);
    return at;
  }

  /**
   * Addresses of scratch areas with room for so many f32 each, valid until the next call of `scratch`
   * or `reserve`.
   */
  scratch(counts: readonly number[]): number[] {
    let at = this.top;
    const places = counts.map((count) => {
      const place = at;
      at = align(at + count * 4);
      return place;
    });
    this.ensure(at);
    return places;
  }

  /** The numbers at an address. A view dies when the memory grows, so take it last. */
  view(at: number, count: number): Float32Array {
    return new Float32Array(this.call.memory.buffer, at, count);
  }

  bytes(at: number, count: number): Uint8Array {
    return new Uint8Array(this.call.memory.buffer, at, count);
  }

  words(at: number, count: number): Uint32Array {
    return new Uint32Array(this.call.memory.buffer, at, count);
  }

  private ensure(bytes: number): void {
    const missing = bytes - this.call.memory.buffer.byteLength;
    if (missing > 0) this.call.memory.grow(Math.ceil(missing / PAGE));
  }
}

const align = (at: number): number => Math.ceil(at / 16) * 16;
