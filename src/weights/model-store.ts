/** The constants of a model: the file's own stay in the file, those that passes add stay in memory. */

import { createHash } from "node:crypto";
import type { WeightRef } from "../ir/op.ts";
import { fillFromFile } from "../tensor/nibbles.ts";
import {
  allocate,
  bytesPer,
  type Elem,
  sizeOf,
  type Tensor,
  type TensorData,
  toBytes,
} from "../tensor/tensor.ts";
import { readRuns } from "./read-runs.ts";
import { copyElements, type WeightStore } from "./store.ts";

/** A run of bytes in a file. */
export interface FileSlice {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/** A constant that is computed when it is asked for, because it is as large as a weight. */
interface Deferred {
  compute(): Tensor;
}

type Source = FileSlice | Tensor | Deferred;

const isSlice = (s: Source): s is FileSlice => "path" in s;
const isDeferred = (s: Source): s is Deferred => "compute" in s;

/** Bytes read at a time when only their digest is wanted. */
const CHUNK = 1 << 22;

/** Fills `into` from the file. Throws when the file is shorter than it was when it was checked. */
export const readSlice = (slice: FileSlice, into: Uint8Array): void =>
  readRuns(slice.path, [slice.offset], into);

/** Fills `into` with the elements of a run of bytes from `start` on. */
function readFrom({ path, offset }: FileSlice, elem: Elem, start: number, into: TensorData): void {
  fillFromFile(elem, start, into, (at, bytes) =>
    readSlice({ path, offset: offset + at, length: bytes.length }, bytes),
  );
}

/** SHA-256 in hex of a run of bytes, read piece by piece. */
export function digestOfSlice(slice: FileSlice): string {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK, slice.length));
  for (let at = 0; at < slice.length; at += CHUNK) {
    const part = buffer.subarray(0, Math.min(CHUNK, slice.length - at));
    readSlice({ path: slice.path, offset: slice.offset + at, length: part.length }, part);
    hash.update(part);
  }
  return hash.digest("hex");
}

export const digest = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex");

export class ModelStore implements WeightStore {
  private readonly sources = new Map<string, Source>();
  private last: { readonly source: Deferred; readonly value: Tensor } | undefined;

  has(name: string): boolean {
    return this.sources.has(name);
  }

  load(ref: WeightRef): Tensor {
    const source = this.sourceOf(ref);
    if (isDeferred(source)) return source.compute();
    if (!isSlice(source)) return source;
    const { elem, shape } = ref.type;
    const data = allocate(elem, sizeOf(shape));
    readFrom(source, elem, 0, data);
    return { elem, shape, data };
  }

  read(ref: WeightRef, start: number, into: TensorData): void {
    const source = this.sourceOf(ref);
    if (isSlice(source)) {
      readFrom(source, ref.type.elem, start, into);
      return;
    }
    const { data } = isDeferred(source) ? this.computed(source) : source;
    copyElements(data, start, into);
  }

  sliceOf(ref: WeightRef): FileSlice | null {
    const source = this.sourceOf(ref);
    const bytes = sizeOf(ref.type.shape as readonly number[]) * bytesPer(ref.type.elem);
    return isSlice(source) && source.length === bytes ? source : null;
  }

  add(name: string, value: Tensor): WeightRef {
    const unique = this.freeName(name);
    this.sources.set(unique, value);
    const type = { elem: value.elem, shape: value.shape };
    return { weight: unique, type, sha256: digest(toBytes(value)) };
  }

  defer(name: string, type: WeightRef["type"], sha256: string, compute: () => Tensor): WeightRef {
    const unique = this.freeName(name);
    this.sources.set(unique, { compute });
    return { weight: unique, type, sha256 };
  }

  /** Adds a constant that stays in its file. `sha256` says which bytes these are (see WeightRef). */
  addSlice(name: string, type: WeightRef["type"], slice: FileSlice, sha256: string): WeightRef {
    const unique = this.freeName(name);
    this.sources.set(unique, slice);
    return { weight: unique, type, sha256 };
  }

  private sourceOf(ref: WeightRef): Source {
    const source = this.sources.get(ref.weight);
    if (!source) throw new Error(`no weight is called ${ref.weight}`);
    return source;
  }

  /** Whoever reads piece by piece wants all pieces of one constant before the next. */
  private computed(source: Deferred): Tensor {
    if (this.last?.source !== source) {
      this.last = undefined;
      this.last = { source, value: source.compute() };
    }
    return this.last.value;
  }

  private freeName(name: string): string {
    if (!this.sources.has(name)) return name;
    for (let i = 1; ; i++) {
      const other = `${name}_${i}`;
      if (!this.sources.has(other)) return other;
    }
  }
}
