/**
 * A matrix engine beside the cores of a cluster: its registers (src/artifact/matrix-engine.ts), what its jobs compute,
 * and how long they take.
 *
 * Time: the engine cuts Z into tiles of `width` rows and height · (pipelineRegisters + 1) columns. A tile takes
 * pipelineRegisters + 1 cycles for every `height` rows of W and each of its columns' groups, that is one multiply-add a
 * unit and cycle, or what its port needs to bring X, W and Z if that is longer: a line of 16 halves (as many as a tile
 * has columns) a cycle. Operands of a tile are brought while the one before it is computed; the first ones are not.
 */

import {
  ENGINE_CONTROL,
  ENGINE_FP16,
  ENGINE_JOB,
  ENGINE_MOST,
  ENGINE_OPERATION,
} from "../../artifact/matrix-engine.ts";
import type { Area, Fault } from "../../iss/cluster-memory.ts";
import type { Target } from "../../target/schema.ts";
import { addHalfProduct, type ProductSizes } from "../../tensor/half-product.ts";

type Shape = NonNullable<Target["cluster"]["matrixEngine"]>;

/** Memory as the engine sees it. */
export interface EngineMemory {
  read(address: number, bytes: number): Uint8Array | Fault;
  room(address: number, bytes: number): Uint8Array | Fault;
}

/** What a core may not ask of the engine, as the end of a sentence about the core. */
export class EngineMisuse extends Error {
  readonly address: number | undefined;
  constructor(what: string, address?: number) {
    super(what);
    this.address = address;
  }
}

/** An access of the engine to memory that failed. */
export class EngineFault extends Error {
  readonly fault: Fault;
  constructor(fault: Fault) {
    super("a fault of the matrix engine");
    this.fault = fault;
  }
}

interface Product extends ProductSizes {
  readonly x: number;
  readonly w: number;
  readonly z: number;
  /** Sums begin with what Z holds. */
  readonly accumulates: boolean;
}

interface Job {
  readonly number: number;
  readonly context: number;
  readonly product: Product;
  readonly endsAt: number;
}

const HALF = 2;
const CONTEXTS = 2;
const NUMBERS = 256;
const [BUSY, LOCKED] = [-1, -2];
const [FIRST, LAST] = [ENGINE_JOB.x, ENGINE_JOB.arithmetic];
const REGISTERS = (LAST - FIRST) / 4 + 1;

const hex = (n: number): string => `0x${(n >>> 0).toString(16)}`;

export class MatrixEngine {
  /** Jobs finished since the program began. */
  finished = 0;
  private readonly shape: Shape;
  private readonly memory: EngineMemory;
  private readonly tcdm: Area;
  private readonly registers = Array.from({ length: CONTEXTS }, () => new Uint32Array(REGISTERS));
  private readonly jobs: Job[] = [];
  private context = 0;
  private acquired = false;
  private next = 0;
  private running = 0;
  private unread = 0;

  constructor(shape: Shape, memory: EngineMemory, tcdm: Area) {
    this.shape = shape;
    this.memory = memory;
    this.tcdm = tcdm;
  }

  /** A register. Errors: EngineMisuse, EngineFault. */
  read(offset: number, now: number): number {
    this.settle(now);
    switch (offset) {
      case ENGINE_CONTROL.acquire:
        return this.acquire();
      case ENGINE_CONTROL.finished: {
        const { unread } = this;
        this.unread = 0;
        return unread;
      }
      case ENGINE_CONTROL.status:
        return this.jobs.reduce((bits, { context }) => bits | (1 << (8 * context)), 0);
      case ENGINE_CONTROL.running:
        return this.jobs[0]?.number ?? this.running;
      default:
        return this.own()[this.place(offset, "read")] ?? 0;
    }
  }

  /** Sets a register; gives when the job that it started will be finished. Errors: EngineMisuse, EngineFault. */
  write(offset: number, value: number, now: number): number | null {
    this.settle(now);
    if (offset === ENGINE_CONTROL.trigger) return this.trigger(now);
    if (offset === ENGINE_CONTROL.softClear) {
      this.clear(value === 0);
      return null;
    }
    const place = this.place(offset, "wrote");
    if (!this.acquired) {
      throw new EngineMisuse("it set a job of the matrix engine without having acquired one");
    }
    this.own()[place] = value;
    return null;
  }

  /** When so many jobs will have been finished; null where fewer have been triggered. */
  doneAt(count: number): number | null {
    const ahead = count - this.finished;
    if (ahead <= 0) return 0;
    return this.jobs[ahead - 1]?.endsAt ?? null;
  }

  /** Finishes the jobs whose time has come. Errors: EngineFault. */
  settle(now: number): void {
    for (;;) {
      const [job] = this.jobs;
      if (!job || job.endsAt > now) return;
      this.jobs.shift();
      this.compute(job.product);
      this.running = job.number;
      this.finished++;
      this.unread = Math.min(this.unread + 1, CONTEXTS);
    }
  }

  private own(): Uint32Array {
    return this.registers[this.context] as Uint32Array;
  }

  private place(offset: number, did: string): number {
    if (offset >= FIRST && offset <= LAST && offset % 4 === 0) return (offset - FIRST) / 4;
    throw new EngineMisuse(
      `it ${did} register ${hex(offset)} of the matrix engine, which has none`,
    );
  }

  private acquire(): number {
    if (this.acquired) return LOCKED;
    if (this.jobs.length === CONTEXTS) return BUSY;
    this.acquired = true;
    return this.next;
  }

  private trigger(now: number): number {
    if (!this.acquired) {
      const busy = this.jobs.length === CONTEXTS ? ", which has two jobs to do already" : "";
      throw new EngineMisuse(`it triggered the matrix engine without having acquired it${busy}`);
    }
    const product = this.described();
    const start = Math.max(now, this.jobs.at(-1)?.endsAt ?? 0);
    const endsAt = start + jobCycles(this.shape, product, product.accumulates);
    this.jobs.push({ number: this.next, context: this.context, product, endsAt });
    this.next = (this.next + 1) % NUMBERS;
    this.context = (this.context + 1) % CONTEXTS;
    this.acquired = false;
    return endsAt;
  }

  private clear(registersToo: boolean): void {
    this.jobs.length = 0;
    this.acquired = false;
    this.unread = 0;
    if (registersToo) for (const list of this.registers) list.fill(0);
  }

  /** The job that has been set. Errors: EngineMisuse where the engine cannot do it. */
  private described(): Product {
    const [x = 0, w = 0, z = 0, mk = 0, n = 0, arithmetic = 0] = this.own();
    const [m, k] = [mk & ENGINE_MOST, mk >>> 16];
    const [format, operation] = [(arithmetic >> 7) & 7, (arithmetic >> 10) & 7];
    if (format !== ENGINE_FP16 || (arithmetic >> 14) & 1) {
      const what = `format ${format}${(arithmetic >> 14) & 1 ? " with bit 14" : ""}`;
      throw new EngineMisuse(`the matrix engine computes in FP16 (format 1), not in ${what}`);
    }
    if (operation > ENGINE_OPERATION.accumulate) {
      const what = `not operation ${operation}`;
      throw new EngineMisuse(`the matrix engine does products (operations 0 and 1), ${what}`);
    }
    if (m === 0 || k === 0 || n === 0 || n > ENGINE_MOST) {
      throw new EngineMisuse(`the matrix engine has no product of ${m}x${n} and ${n}x${k}`);
    }
    this.check("X", x, m * n * HALF);
    this.check("W", w, n * k * HALF);
    this.check("Z", z, m * k * HALF);
    return { x, w, z, m, n, k, accumulates: operation === ENGINE_OPERATION.accumulate };
  }

  private check(name: string, at: number, bytes: number): void {
    const { base, bytes: size } = this.tcdm;
    if (at % HALF !== 0) {
      throw new EngineMisuse(
        `${name} of the matrix engine is at ${hex(at)}, between two halves`,
        at,
      );
    }
    if (at < base || at + bytes > base + size) {
      const there = `${hex(at)} to ${hex(at + bytes - 1)}`;
      throw new EngineMisuse(`${name} of the matrix engine is ${there}, not in the TCDM`, at);
    }
  }

  private compute({ x, w, z, accumulates, ...sizes }: Product): void {
    const { m, n, k } = sizes;
    const left = halvesOf(this.memory.read(x, m * n * HALF));
    const right = halvesOf(this.memory.read(w, n * k * HALF));
    const sums = accumulates ? halvesOf(this.memory.read(z, m * k * HALF)) : new Uint16Array(m * k);
    addHalfProduct(left, right, sums, sizes);
    const room = this.memory.room(z, m * k * HALF);
    if (!(room instanceof Uint8Array)) throw new EngineFault(room);
    room.set(new Uint8Array(sums.buffer));
  }
}

/** A copy, because halves need not lie at an even place of the buffer. */
function halvesOf(bytes: Uint8Array | Fault): Uint16Array {
  if (!(bytes instanceof Uint8Array)) throw new EngineFault(bytes);
  return new Uint16Array(Uint8Array.from(bytes).buffer);
}

/** Cycles from the trigger of a job, with the engine idle, until its last sums are in memory. */
export function jobCycles(shape: Shape, { m, n, k }: ProductSizes, accumulates: boolean): number {
  const [height, width] = [shape.height.value, shape.width.value];
  const columns = height * (shape.pipelineRegisters.value + 1);
  const steps = Math.ceil(n / height);
  const before = accumulates ? width : 0;
  const lines = steps * height + width * Math.ceil(n / columns) + before + width;
  const each = Math.max(steps * columns, lines) + shape.tileCycles.value;
  const tiles = Math.ceil(m / width) * Math.ceil(k / columns);
  const fill = width + before + height;
  const drain = columns + width;
  return shape.startCycles.value + fill + tiles * each + drain;
}
