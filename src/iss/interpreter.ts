/** The compiled interpreter, instantiated; see hart.as.ts for what it does. */

import { HART_WASM } from "./hart.gen.ts";

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
  configure(
    textBase: number,
    textBytes: number,
    records: number,
    ramBase: number,
    ramBytes: number,
    ramAt: number,
    writeBase: number,
  ): void;
  run(hart: number, budget: number): number;
}

/** Why a hart stops, as in state.as.ts. */
export const STOP = {
  budget: 0,
  decode: 1,
  call: 2,
  breakpoint: 3,
  illegal: 4,
  load: 5,
  store: 6,
  fetch: 7,
  misaligned: 8,
  fetchFence: 9,
  service: 10,
} as const;

/** Where a hart's state is, in bytes, as in state.as.ts. */
export const STATE = { f: 256, pc: 384, value: 388, retired: 392, fcsr: 400 } as const;

const PAGE = 65536;
let compiled: object | undefined;

/** One instance with so many bytes of memory behind its own. */
export function instantiate(bytes: number): { readonly call: Exports; readonly free: number } {
  compiled ??= new Module(Buffer.from(HART_WASM, "base64"));
  const call = new Instance(compiled).exports as Exports;
  const free = Math.ceil(call.heapBase() / 16) * 16;
  const missing = free + bytes - call.memory.buffer.byteLength;
  if (missing > 0) call.memory.grow(Math.ceil(missing / PAGE));
  return { call, free };
}
