/**
 * A model file without the values of its large tensors. Only what is left is read into memory; each value
 * left out becomes a note of where in the file it lies, so that it can be read when it is wanted.
 *
 * Works on the wire format (https://protobuf.dev/programming-guides/encoding): a message is a sequence of
 * tags and values, and messages inside messages carry their length. Whatever does not look as expected is
 * kept as it is, for the real decoder to judge.
 */

import { randomBytes } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { digestOfSlice, type FileSlice } from "../weights/model-store.ts";
import type { TensorProto } from "./proto.ts";

export interface Skeleton {
  /** The model's message; large values are missing. */
  readonly message: Buffer;
  /** SHA-256 of the whole file, in hex. */
  readonly sha256: string;
}

/** Values of fewer bytes are kept. */
const SMALL = 4096;

/** Deeper messages are kept as they are. */
const DEEPEST = 64;

/** Bytes read at a time while looking for tags. */
const WINDOW = 1 << 16;

const LENGTH_DELIMITED = 2;
const RAW_DATA = 9;
const EXTERNAL_DATA = 13;

type Kind = "model" | "graph" | "node" | "function" | "attribute" | "tensor";

/** Fields that lead to tensors: onnx.proto. */
const INSIDE: Readonly<Record<Kind, Readonly<Record<number, Kind>>>> = {
  model: { 7: "graph", 25: "function" },
  graph: { 1: "node", 5: "tensor" },
  function: { 7: "node" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph" },
  tensor: {},
};

/** Marks our notes. No file can forge it, as it is drawn anew for every process. */
const NOTE = `inside:${randomBytes(16).toString("hex")}`;

/** Reads the file's structure. Throws what the file system throws. */
export function readSkeleton(path: string): Skeleton {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const bytes = new Bytes(fd, size);
    const message = Buffer.concat([...stripped("model", bytes, [0, size], 0)]);
    return { message, sha256: digestOfSlice({ path, offset: 0, length: size }) };
  } finally {
    closeSync(fd);
  }
}

/** Where the value that was left out of this tensor lies; null when it was not. */
export function leftOut(proto: TensorProto, path: string): FileSlice | null {
  const value = (proto.externalData ?? []).findLast((e) => e.key === NOTE)?.value;
  const [offset, length] = (value ?? "").split("+").map(Number);
  return offset === undefined || length === undefined ? null : { path, offset, length };
}

type Range = readonly [from: number, to: number];

interface Field {
  readonly number: number;
  readonly wireType: number;
  /** Where the value begins. */
  readonly body: number;
  readonly end: number;
}

/** The message in pieces: runs of bytes as they are, and rewritten fields between them. */
function* stripped(kind: Kind, bytes: Bytes, [from, to]: Range, depth: number): Iterable<Buffer> {
  let kept = from;
  for (let at = from; at < to; ) {
    const field = bytes.field(at, to);
    if (!field) break;
    const instead = replacement(kind, bytes, field, depth);
    if (instead) {
      yield bytes.copy(kept, at);
      yield* instead;
      kept = field.end;
    }
    at = field.end;
  }
  yield bytes.copy(kept, to);
}

/** What stands for a field that is too large to keep; null for one that stays. */
function replacement(kind: Kind, bytes: Bytes, field: Field, depth: number): Buffer[] | null {
  const { number, wireType, body, end } = field;
  if (wireType !== LENGTH_DELIMITED || end - body < SMALL) return null;
  if (kind === "tensor" && number === RAW_DATA) return noteOf(body, end - body);
  const inner = INSIDE[kind][number];
  if (!inner || depth === DEEPEST) return null;
  return delimited(number, [...stripped(inner, bytes, [body, end], depth + 1)]);
}

/** An entry of external_data: a StringStringEntryProto with our key. */
const noteOf = (offset: number, length: number): Buffer[] =>
  delimited(EXTERNAL_DATA, [
    ...delimited(1, [Buffer.from(NOTE)]),
    ...delimited(2, [Buffer.from(`${offset}+${length}`)]),
  ]);

function delimited(number: number, content: readonly Buffer[]): Buffer[] {
  const length = content.reduce((n, b) => n + b.length, 0);
  return [Buffer.from([...varint(number * 8 + LENGTH_DELIMITED), ...varint(length)]), ...content];
}

function varint(n: number): number[] {
  return n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))];
}

/** A file seen through a window, which moves along as tags are read. */
class Bytes {
  private readonly fd: number;
  private readonly size: number;
  private readonly window = Buffer.alloc(WINDOW);
  private start = 0;
  private filled = 0;

  constructor(fd: number, size: number) {
    this.fd = fd;
    this.size = size;
  }

  /** The field whose tag is at `at`; null when it is damaged or reaches beyond `to`. */
  field(at: number, to: number): Field | null {
    const tag = this.varint(at, to);
    if (!tag) return null;
    const number = Math.floor(tag.value / 8);
    const wireType = tag.value % 8;
    const first = wireType === 1 || wireType === 5 ? null : this.varint(tag.end, to);
    if (wireType === 0 && first) return { number, wireType, body: tag.end, end: first.end };
    if (wireType === LENGTH_DELIMITED && first) {
      const end = first.end + first.value;
      return end > to ? null : { number, wireType, body: first.end, end };
    }
    const fixed = wireType === 1 ? 8 : wireType === 5 ? 4 : null;
    if (fixed === null || tag.end + fixed > to) return null;
    return { number, wireType, body: tag.end, end: tag.end + fixed };
  }

  /** A run of bytes of its own. */
  copy(from: number, to: number): Buffer {
    const into = Buffer.allocUnsafe(to - from);
    this.fill(into, from);
    return into;
  }

  private varint(at: number, to: number): { value: number; end: number } | null {
    let value = 0;
    let scale = 1;
    for (let i = at; i < to && i < at + 10; i++) {
      const byte = this.byte(i);
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) return { value, end: i + 1 };
    }
    return null;
  }

  private byte(at: number): number {
    if (at < this.start || at >= this.start + this.filled) {
      this.start = at;
      this.filled = Math.min(WINDOW, this.size - at);
      this.fill(this.window.subarray(0, this.filled), at);
    }
    return this.window[at - this.start] ?? 0;
  }

  private fill(into: Buffer, from: number): void {
    for (let done = 0; done < into.length; ) {
      const n = readSync(this.fd, into, done, into.length - done, from + done);
      if (n === 0) throw new Error("the file became shorter while it was read");
      done += n;
    }
  }
}
