/** The constants of a model: the file's own stay in the file, those that passes add stay in memory. */

import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import type { WeightRef } from "../ir/op.ts";
import { allocate, type Elem, type Tensor, toBytes } from "../tensor/tensor.ts";
import type { WeightStore } from "./store.ts";

/** A run of bytes in a file. */
export interface FileSlice {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

type Source = FileSlice | Tensor;

const isSlice = (s: Source): s is FileSlice => "path" in s;

/** Bytes read at a time when only their digest is wanted. */
const CHUNK = 1 << 22;

/** Fills `into` from the file. Throws when the file is shorter than it was when it was checked. */
export function readSlice(slice: FileSlice, into: Uint8Array): void {
  const fd = openSync(slice.path, "r");
  try {
    let done = 0;
    while (done < into.length) {
      const n = readSync(fd, into, done, into.length - done, slice.offset + done);
      if (n === 0) throw new Error(`${slice.path} became shorter while it was read`);
      done += n;
    }
  } finally {
    closeSync(fd);
  }
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

  has(name: string): boolean {
    return this.sources.has(name);
  }

  load(ref: WeightRef): Tensor {
    const source = this.sources.get(ref.weight);
    if (!source) throw new Error(`no weight is called ${ref.weight}`);
    if (!isSlice(source)) return source;
    const { elem, shape } = ref.type;
    const data = allocate(elem, elementsOf(source, elem));
    readSlice(source, new Uint8Array(data.buffer));
    return { elem, shape, data };
  }

  add(name: string, value: Tensor): WeightRef {
    const unique = this.freeName(name);
    this.sources.set(unique, value);
    const type = { elem: value.elem, shape: value.shape };
    return { weight: unique, type, sha256: digest(toBytes(value)) };
  }

  /** Adds a constant that stays in its file. `sha256` is that of exactly these bytes. */
  addSlice(name: string, type: WeightRef["type"], slice: FileSlice, sha256: string): WeightRef {
    const unique = this.freeName(name);
    this.sources.set(unique, slice);
    return { weight: unique, type, sha256 };
  }

  private freeName(name: string): string {
    if (!this.sources.has(name)) return name;
    for (let i = 1; ; i++) {
      const other = `${name}_${i}`;
      if (!this.sources.has(other)) return other;
    }
  }
}

const elementsOf = (slice: FileSlice, elem: Elem): number =>
  slice.length / allocate(elem, 0).BYTES_PER_ELEMENT;
