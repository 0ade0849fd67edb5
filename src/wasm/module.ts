/** The compiled inner loops, instantiated; see kernels.as.ts for what each function does. */

import { KERNELS_WASM } from "./kernels.gen.ts";

/** A linear memory that several threads may work on; it can be sent to a worker. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
  grow(pages: number): number;
}

/** What this file uses of WebAssembly; the types of Node name none of it. */
interface Engine {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
  readonly Memory: new (size: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: true;
  }) => SharedMemory;
}

const { Module, Instance, Memory } = (globalThis as unknown as { readonly WebAssembly: Engine })
  .WebAssembly;

/** Byte addresses, counts of elements and plain numbers, in the order of the source's parameters. */
type Loop = (...numbers: number[]) => void;
type Count = (...numbers: number[]) => number;

const LOOPS = [
  "accumulate",
  "accumulateSigned",
  "adc",
  "addHalfProduct",
  "addNoise",
  "addScaled",
  "affine",
  "clear",
  "crossbarSums",
  "curve",
  "dac",
  "deadZone",
  "drifted",
  "flicker",
  "gaussians",
  "idle",
  "irDrop",
  "levelProduct",
  "levels",
  "logarithms",
  "magnitude",
  "mapped",
  "matmul",
  "multiply",
  "normalise",
  "ofSide",
  "pack",
  "programmed",
  "ranges",
  "rowNorms",
  "sShape",
  "scaled",
  "softmax",
  "split",
  "stuck",
  "subtract",
  "takeHalves",
  "takeWords",
  "turnHalves",
  "turnWords",
  "words",
] as const;

type Exports = Readonly<Record<(typeof LOOPS)[number], Loop>> & {
  readonly clipped: Count;
  readonly sumOfSizes: Count;
  readonly verify: Count;
  readonly heapBase: Count;
};

const PAGE = 65536;
/** Pages of the largest memory that 32-bit addresses reach. */
const MAXIMUM = 65536;

let compiled: object | undefined;

export const newMemory = (bytes: number): SharedMemory =>
  new Memory({ initial: Math.max(1, Math.ceil(bytes / PAGE)), maximum: MAXIMUM, shared: true });

/** One instance on a linear memory, its own unless one is given. Memories only ever grow. */
export class Wasm {
  readonly call: Exports;
  readonly memory: SharedMemory;
  /** First free byte. */
  private top: number;

  /** Without `base`, everything behind the module's own data is free. */
  constructor(memory: SharedMemory = newMemory(0), base?: number) {
    compiled ??= new Module(Buffer.from(KERNELS_WASM, "base64"));
    this.memory = memory;
    this.call = new Instance(compiled, { env: { memory } }).exports as Exports;
    this.top = align(base ?? this.call.heapBase());
  }

  /** Reserves room for `count` f32 for good and gives its byte address. */
  reserve(count: number): number {
    const at = this.top;
    this.top = align(at + count * 4);
    this.ensure(this.top);
    return at;
  }

  /**
   * Addresses of scratch areas with room for so many f32 each, valid until the next call of `scratch`, `taker`
   * or `reserve`.
   */
  scratch(counts: readonly number[]): number[] {
    return counts.map(this.taker());
  }

  /** The same, one area a call. */
  taker(): (count: number) => number {
    let top = this.top;
    return (count) => {
      const at = top;
      top = align(at + count * 4);
      this.ensure(top);
      return at;
    };
  }

  /** The numbers at an address. */
  view(at: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, count);
  }

  bytes(at: number, count: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, at, count);
  }

  halves(at: number, count: number): Uint16Array {
    return new Uint16Array(this.memory.buffer, at, count);
  }

  words(at: number, count: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, at, count);
  }

  private ensure(bytes: number): void {
    const missing = bytes - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
  }
}

const align = (at: number): number => Math.ceil(at / 16) * 16;
