/** The compiled interpreter, instantiated; see hart.as.ts for what it does. */

import { HART_WASM } from "./hart.gen.ts";

/** What this file uses of WebAssembly; the types of Node name none of it. */
interface Engine {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
  readonly Table: new (kind: { readonly element: "anyfunc"; readonly initial: number }) => Table;
}

/** Functions that the interpreter calls by their number. */
export interface Table {
  readonly length: number;
  grow(by: number): void;
  set(at: number, to: unknown): void;
}

const engine = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly;

/** What translated text uses of the interpreter; hart.as.ts and translated.as.ts say what each does. */
export interface Exports {
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
  translateAt(count: number): void;
  addRegion(base: number, bytes: number, at: number, writable: boolean, cycles: number): void;
  shadow(base: number, bytes: number, at: number): void;
  timing(takenBranch: number, vectorBytes: number, vectorQueue: number): void;
  /** Where vector-use.ts's words go. */
  unitUses(): number;
  takeAccesses(): number;
  addAccesses(more: number): void;
  beats(hart: number, record: number, left: number): number;
  order(hart: number, left: number, storing: number): number;
  drain(hart: number, left: number): number;
  floating(hart: number, record: number): number;
  floatingOfTwo(hart: number, record: number, a: number, b: number): number;
  floatingOfThree(hart: number, record: number, a: number, b: number, c: number): number;
  vectorWithin(hart: number, record: number): number;
  controlWithin(hart: number, record: number, left: number): number;
  advance(hart: number, stream: number, writing: number): number;
  startStream(hart: number, record: number): number;
}

export interface Interpreter {
  readonly call: Exports;
  readonly table: Table;
  /** First byte that the host may use. */
  readonly free: number;
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
  hot: 11,
  unwritten: 12,
  stream: 13,
} as const;

/** Where a hart's state is, in bytes, as in state.as.ts. */
export const STATE = {
  f: 256,
  pc: 384,
  value: 388,
  retired: 392,
  fcsr: 400,
  fast: 404,
  hart: 412,
  vl: 416,
  vtype: 420,
  vstart: 424,
  v: 512,
  pending: 1596,
  ssr: 2048,
  directions: 2052,
  frepLeft: 2056,
  frepFrom: 2060,
  frepTo: 2064,
  streams: 2112,
} as const;

const PAGE = 65536;
let compiled: object | undefined;

/** One instance with so many bytes of memory behind its own. */
export function instantiate(bytes: number): Interpreter {
  compiled ??= new engine.Module(Buffer.from(HART_WASM, "base64"));
  const table = new engine.Table({ element: "anyfunc", initial: 1 });
  const call = new engine.Instance(compiled, { env: { table } }).exports as Exports;
  const free = Math.ceil(call.heapBase() / 16) * 16;
  const missing = free + bytes - call.memory.buffer.byteLength;
  if (missing > 0) call.memory.grow(Math.ceil(missing / PAGE));
  return { call, table, free };
}

/** A module of one's own. */
export const compileModule = (bytes: Uint8Array): object => new engine.Module(bytes);

/** The exports of a module that imports from `env`. */
export function instantiateModule(module: object, env: object): unknown {
  return new engine.Instance(module, { env }).exports;
}
