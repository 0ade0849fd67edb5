/**
 * Moves weights from the model's files into those of the artifact: strips of what goes on tiles, and constants
 * as they are. All of it is cut into units that any thread may take, and every unit reads what no other does.
 */

import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { bytesPer, type Elem, type TensorData } from "../tensor/tensor.ts";
import { Wasm } from "../wasm/module.ts";
import type { FileSlice } from "../weights/model-store.ts";
import { hasOdd } from "./odd-values.ts";
import { type Taker, takerFor } from "./strips.ts";
import { type Grid, stripCount, writeStrip } from "./tile-images.ts";

/** A run of bytes of a file that is being written. */
interface Place {
  readonly path: string;
  readonly offset: number;
}

/** A weight on tiles: its grid, the bytes of its matrix, and where its values and scales go. */
interface GridJob {
  readonly grid: Grid;
  readonly from: FileSlice;
  readonly values: Place;
  readonly scales: Place;
}

/** A constant that is copied as it is. */
interface CopyJob {
  readonly elem: Elem;
  readonly from: FileSlice;
  readonly to: Place;
}

export type Job = GridJob | CopyJob;

/** What threads share: the jobs, the number of the next unit, and which jobs have met odd values. */
export interface Work {
  readonly jobs: readonly Job[];
  readonly next: Int32Array;
  readonly odd: Uint8Array;
}

export const workOf = (jobs: readonly Job[]): Work => ({
  jobs,
  next: new Int32Array(new SharedArrayBuffer(4)),
  odd: new Uint8Array(new SharedArrayBuffer(jobs.length)),
});

/** Bytes of a constant that are copied at once. */
const CHUNK = 1 << 23;

const isGrid = (job: Job): job is GridJob => "grid" in job;

const unitsOf = (job: Job): number =>
  isGrid(job) ? stripCount(job.grid) : Math.ceil(job.from.length / CHUNK);

/** Takes units until there are none left. */
export function takeUnits({ jobs, next, odd }: Work): void {
  const files = new Files();
  const wasm = new Wasm();
  const takers = new Map<string, Taker>();
  const takerOf = ({ elem }: Grid): Taker => {
    const taker = takers.get(elem) ?? takerFor(elem, wasm);
    takers.set(elem, taker);
    return taker;
  };
  try {
    let job = 0;
    let before = 0;
    for (let unit = Atomics.add(next, 0, 1); ; unit = Atomics.add(next, 0, 1)) {
      for (let own = jobs[job]; own && unit - before >= unitsOf(own); own = jobs[job]) {
        before += unitsOf(own);
        job += 1;
      }
      const own = jobs[job];
      if (!own) return;
      const isOrdinary = isGrid(own)
        ? moveStrip(files, own, unit - before, takerOf(own.grid))
        : copyPart(files, own, unit - before);
      if (!isOrdinary) Atomics.store(odd, job, 1);
    }
  } finally {
    files.close();
  }
}

/** False when there are infinite weights or NaN in it. */
function moveStrip(files: Files, job: GridJob, strip: number, taker: Taker): boolean {
  const read = (start: number, into: TensorData): void => {
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    files.read(job.from.path, job.from.offset + start * into.BYTES_PER_ELEMENT, bytes);
  };
  const size = bytesPer(job.grid.elem);
  const sink = {
    values: (start: number, bytes: Uint8Array): void =>
      files.write(job.values.path, job.values.offset + start * size, bytes),
    scales: (start: number, bytes: Uint8Array): void =>
      files.write(job.scales.path, job.scales.offset + start * 4, bytes),
  };
  return writeStrip(job.grid, strip, read, sink, taker);
}

/** False when there are infinite values or NaN in it. */
function copyPart(files: Files, { elem, from, to }: CopyJob, part: number): boolean {
  const at = part * CHUNK;
  const bytes = files.buffer.subarray(0, Math.min(CHUNK, from.length - at));
  files.read(from.path, from.offset + at, bytes);
  files.write(to.path, to.offset + at, bytes);
  return !hasOdd(elem, bytes);
}

/** Files that a thread has open. */
class Files {
  readonly buffer = Buffer.allocUnsafeSlow(CHUNK);
  private readonly open = new Map<string, number>();

  read(path: string, offset: number, into: Uint8Array): void {
    const fd = this.fdOf(path, "r");
    for (let done = 0; done < into.length; ) {
      const n = readSync(fd, into, done, into.length - done, offset + done);
      if (n === 0) throw new Error(`${path} became shorter while it was read`);
      done += n;
    }
  }

  write(path: string, offset: number, bytes: Uint8Array): void {
    const fd = this.fdOf(path, "r+");
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
    }
  }

  close(): void {
    for (const fd of this.open.values()) closeSync(fd);
  }

  private fdOf(path: string, flags: "r" | "r+"): number {
    const known = this.open.get(`${flags} ${path}`);
    if (known !== undefined) return known;
    const fd = openSync(path, flags);
    this.open.set(`${flags} ${path}`, fd);
    return fd;
  }
}
