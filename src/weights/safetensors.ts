/**
 * The safetensors format: eight bytes with the length of a JSON header, the header, then the tensors'
 * bytes without gaps (https://huggingface.co/docs/safetensors, "Format"). Equal contents give equal
 * files: tensors lie in order of element size, widest first so that all are aligned, then by name.
 */

import { closeSync, fstatSync, openSync, writeSync } from "node:fs";
import { fail, inFile } from "../diag/diagnostic.ts";
import { isPacked } from "../tensor/nibbles.ts";
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

/** The format has no 4-bit integers: they take a byte each. */
const DTYPES: Readonly<Record<Elem, string>> = {
  f32: "F32",
  f64: "F64",
  f16: "F16",
  bf16: "BF16",
  i64: "I64",
  i32: "I32",
  i16: "I16",
  i8: "I8",
  i4: "I8",
  ui64: "U64",
  ui32: "U32",
  ui16: "U16",
  ui8: "U8",
  ui4: "U8",
  i1: "BOOL",
};

const ELEM_OF = new Map(
  (Object.keys(DTYPES) as Elem[]).filter((e) => !isPacked(e)).map((e) => [DTYPES[e], e]),
);

/** What a tensor is read as that was written with an element type: 4-bit integers as those of a byte. */
export const elemRead = (elem: string): Elem | undefined => ELEM_OF.get(DTYPES[elem as Elem]);

export interface TensorSpec {
  readonly name: string;
  readonly elem: Elem;
  readonly shape: readonly number[];
}

const bytesOf = (s: TensorSpec): number => sizeOf(s.shape) * bytesPer(s.elem);

const byName = (a: TensorSpec, b: TensorSpec): number =>
  a.name < b.name ? -1 : Number(a.name > b.name);

/** A file whose tensors are written piece by piece, in any order. */
export interface SafetensorsWriter {
  readonly path: string;
  /** Bytes of a tensor's elements, row-major, from element `start` on. */
  write(name: string, start: number, bytes: Uint8Array): void;
  /** Byte of the file at which a tensor begins, for somebody else who will write all of it. */
  handOver(name: string): number;
  /** Throws when some tensor was not written as many bytes as it has. */
  finish(): void;
  /** Closes the file in any case. */
  close(): void;
}

/** Specs may come in any order; their names must differ. */
export function createSafetensors(
  path: string,
  specs: readonly TensorSpec[],
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsWriter {
  const sorted = inFileOrder(specs);
  const header = headerOf(sorted, metadata);
  const places = new Map<string, { readonly spec: TensorSpec; at: number; missing: number }>();
  let at = header.length;
  for (const spec of sorted) {
    places.set(spec.name, { spec, at, missing: bytesOf(spec) });
    at += bytesOf(spec);
  }
  const fd = openSync(path, "w");
  writeAll(fd, header, 0);
  const placeOf = (name: string) => {
    const place = places.get(name);
    if (!place) throw new Error(`${name} is written but was never promised`);
    return place;
  };
  return {
    path,
    handOver(name) {
      const place = placeOf(name);
      place.missing = 0;
      return place.at;
    },
    write(name, start, bytes) {
      const place = placeOf(name);
      const from = start * bytesPer(place.spec.elem);
      if (from + bytes.length > bytesOf(place.spec)) throw new Error(`${name} is written too long`);
      writeAll(fd, bytes, place.at + from);
      place.missing -= bytes.length;
    },
    finish() {
      const unfinished = [...places.values()].find((p) => p.missing !== 0);
      if (unfinished) throw new Error(`${unfinished.spec.name} is not written whole`);
    },
    close: () => closeSync(fd),
  };
}

const inFileOrder = (specs: readonly TensorSpec[]): readonly TensorSpec[] =>
  [...specs].sort((a, b) => bytesPer(b.elem) - bytesPer(a.elem) || byName(a, b));

/**
 * Writes a file tensor by tensor; `values` is asked for each once and may forget it afterwards.
 * Specs may come in any order; their names must differ.
 */
export function writeSafetensors(
  path: string,
  specs: readonly TensorSpec[],
  values: (spec: TensorSpec) => Tensor,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const file = createSafetensors(path, specs, metadata);
  try {
    for (const spec of inFileOrder(specs)) file.write(spec.name, 0, toBytes(values(spec)));
    file.finish();
  } finally {
    file.close();
  }
}

function headerOf(
  specs: readonly TensorSpec[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  let offset = 0;
  const entries: [string, unknown][] = specs.map((s) => {
    const range = [offset, offset + bytesOf(s)];
    offset += bytesOf(s);
    return [s.name, { dtype: DTYPES[s.elem], shape: s.shape, data_offsets: range }];
  });
  if (new Set(entries.map(([name]) => name)).size !== entries.length) {
    throw new Error("two tensors of a file have the same name");
  }
  const extra = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  // Built from parts because an object would put names that look like numbers first.
  const members = [...extra, ...entries].map(
    ([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`,
  );
  const json = Buffer.from(`{${members.join(",")}}`);
  // The format allows spaces behind the header; they keep the data aligned to eight bytes.
  const padded = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, " ");
  padded.writeBigUInt64LE(BigInt(padded.length - 8), 0);
  json.copy(padded, 8);
  return padded;
}

/** One system call moves less than 2 GiB. */
const AT_ONCE = 1 << 30;

function writeAll(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, Math.min(AT_ONCE, bytes.length - done), at + done);
  }
}

interface Entry extends TensorSpec {
  /** Bytes from the start of the file. */
  readonly offset: number;
}

export interface SafetensorsFile {
  readonly specs: readonly TensorSpec[];
  readonly metadata: Readonly<Record<string, string>>;
  has(name: string): boolean;
  load(name: string): Tensor;
  /** Rows `from` to `to` (exclusive) along the first axis, the only ones that are read. */
  loadRows(name: string, from: number, to: number): Tensor;
  /** From each start on `length` elements, one run behind the other; nothing else is read. */
  loadRuns(name: string, starts: readonly number[], length: number): TensorData;
}

/**
 * Reads the header; tensors are read from disk each time they are asked for.
 * Errors: A130 for a file that cannot be opened, is not of this format, or is cut short.
 */
export function openSafetensors(path: string): SafetensorsFile {
  const { entries, metadata } = readHeader(path);
  const entryOf = (name: string): Entry => {
    const entry = entries.get(name);
    if (!entry) return fail("A130", `no tensor '${name}'`, inFile(path), "check the file");
    return entry;
  };
  const loadRuns = (name: string, starts: readonly number[], length: number): TensorData => {
    const { elem, offset } = entryOf(name);
    const data = allocate(elem, starts.length * length);
    const each = bytesPer(elem);
    const places = starts.map((start) => offset + start * each);
    readRuns(path, places, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return data;
  };
  const loadRows = (name: string, from: number, to: number): Tensor => {
    const { elem, shape } = entryOf(name);
    const row = sizeOf(shape.slice(1));
    const data = loadRuns(name, [from * row], (to - from) * row);
    return { elem, shape: [to - from, ...shape.slice(1)], data };
  };
  return {
    specs: [...entries.values()].map(({ name, elem, shape }) => ({ name, elem, shape })),
    metadata,
    has: (name) => entries.has(name),
    load(name) {
      const { elem, shape } = entryOf(name);
      return { elem, shape, data: loadRuns(name, [0], sizeOf(shape)) };
    },
    loadRows,
    loadRuns,
  };
}

/** All tensors of a file by name. Errors: A130. */
export function readSafetensors(path: string): ReadonlyMap<string, Tensor> {
  const file = openSafetensors(path);
  return new Map(file.specs.map(({ name }) => [name, file.load(name)]));
}

function refuse(path: string, text: string): never {
  return fail("A130", text, inFile(path), "the file is not safetensors, or was cut short");
}

/** Larger headers are refused, as the reference implementation does. */
const LONGEST_HEADER = 100_000_000;

function readHeader(path: string) {
  const { header, start, size } = readJson(path);
  const entries = new Map<string, Entry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") metadata = value as Record<string, string>;
    else entries.set(name, entryFrom(name, value, start, size, path));
  }
  return { entries, metadata };
}

function readJson(path: string) {
  let size: number;
  try {
    const fd = openSync(path, "r");
    size = fstatSync(fd).size;
    closeSync(fd);
  } catch (e) {
    return refuse(path, `cannot be opened: ${e instanceof Error ? e.message : e}`);
  }
  if (size < 8) refuse(path, "the file has no header");
  const head = Buffer.alloc(8);
  readRuns(path, [0], head);
  const length = Number(head.readBigUInt64LE());
  if (length > LONGEST_HEADER || 8 + length > size)
    refuse(path, "the header is longer than the file");
  const json = Buffer.alloc(length);
  readRuns(path, [8], json);
  try {
    const header: unknown = JSON.parse(json.toString("utf8"));
    if (typeof header !== "object" || header === null) refuse(path, "the header is no object");
    return { header: header as Record<string, unknown>, start: 8 + length, size };
  } catch {
    return refuse(path, "the header is not JSON");
  }
}

function entryFrom(name: string, value: unknown, start: number, size: number, path: string): Entry {
  const { dtype, shape, data_offsets } = (value ?? {}) as Record<string, unknown>;
  const elem = ELEM_OF.get(String(dtype));
  if (!elem) return refuse(path, `tensor '${name}' has element type ${dtype}`);
  const [from, to] = Array.isArray(data_offsets) ? data_offsets : [];
  const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(isCount) || !isCount(from) || !isCount(to)) {
    return refuse(path, `tensor '${name}' has a damaged header entry`);
  }
  const spec = { name, elem, shape };
  if (to - from !== bytesOf(spec) || start + to > size) {
    return refuse(path, `tensor '${name}' lies outside the file, or has too few bytes`);
  }
  return { ...spec, offset: start + from };
}
