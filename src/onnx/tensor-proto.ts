/** Between TensorProto messages and tensors: raw bytes, typed fields and external files. */

import { fail, inFile } from "../diag/diagnostic.ts";
import { bytesInFile, fillFromFile, isPacked, packNibbles } from "../tensor/nibbles.ts";
import { allocate, bytesPer, type Elem, sizeOf, type Tensor, toBytes } from "../tensor/tensor.ts";
import type { FileSlice } from "../weights/model-store.ts";
import { readSlice } from "../weights/model-store.ts";
import { codeOf, elemOf, nameOfCode } from "./elem.ts";
import { externalSlice } from "./external.ts";
import { type Int64, onnx, type TensorProto, toBigInt } from "./proto.ts";
import { leftOut } from "./skeleton.ts";

export interface TensorHead {
  readonly name: string;
  readonly elem: Elem;
  readonly shape: readonly number[];
}

/** Larger element counts cannot be indexed by a JavaScript number. */
const MOST = 2n ** 53n;

/**
 * Name, element type and shape.
 * Errors: A110 for an element type that has no counterpart here, A111 for negative dimensions,
 * A135 for dimensions whose product overflows.
 */
export function headOf(proto: TensorProto, path: string): TensorHead {
  const name = proto.name ?? "";
  const elem = elemOf(proto.dataType);
  if (!elem) {
    const text = `tensor '${name}' has element type ${nameOfCode(proto.dataType)}`;
    const hint = "use float, bfloat16, integer (of 4 bits too) or bool tensors";
    return fail("A110", text, inFile(path), hint);
  }
  const dims = (proto.dims ?? []).map((d) => toBigInt(d as number | Int64));
  const shown = `[${dims.join(", ")}]`;
  const hint = "the file is damaged: export it again";
  if (dims.some((d) => d < 0n)) {
    return fail("A111", `tensor '${name}' has impossible dimensions ${shown}`, inFile(path), hint);
  }
  // A dimension of zero does not make the others possible.
  if (dims.reduce((a, d) => a * (d || 1n), 1n) > MOST) {
    const text = `tensor '${name}' has dimensions ${shown}, more than 2^53 elements`;
    return fail("A135", text, inFile(path), hint);
  }
  return { name, elem, shape: dims.map(Number) };
}

export const isExternal = (proto: TensorProto): boolean =>
  proto.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL;

/** protobufjs keeps defaults on the prototype, so only an own property was in the file. */
const hasRaw = (proto: TensorProto): boolean =>
  Object.hasOwn(proto, "rawData") && (proto.rawData?.length ?? 0) > 0;

/** Errors: A112 when there are more or fewer bytes than the dimensions say. */
export function checkLength(head: TensorHead, bytes: number, path: string): void {
  const expected = bytesInFile(head.elem, sizeOf(head.shape));
  if (bytes === expected) return;
  const shown = `${head.elem}[${head.shape.join(",")}]`;
  const text = `tensor '${head.name}' has ${bytes} bytes of data, but ${shown} needs ${expected}`;
  fail("A112", text, inFile(path), "the file is damaged: export it again");
}

/** The tensor, whole. `path` is the file that the message came from, for external data and errors. */
export function tensorOf(proto: TensorProto, path: string): Tensor {
  const head = headOf(proto, path);
  if (isExternal(proto)) {
    const slice = externalSlice(proto, head, path);
    return fromSlice(head, slice, path);
  }
  const left = leftOut(proto, path);
  if (left) return fromSlice(head, left, path);
  if (hasRaw(proto)) {
    const raw = proto.rawData as Uint8Array;
    checkLength(head, raw.length, path);
    return filled(head, (at, into) => into.set(raw.subarray(at, at + into.length)));
  }
  return fromFields(proto, head, path);
}

function fromSlice(head: TensorHead, slice: FileSlice, path: string): Tensor {
  checkLength(head, slice.length, path);
  return filled(head, (at, into) =>
    readSlice({ path: slice.path, offset: slice.offset + at, length: into.length }, into),
  );
}

function filled({ elem, shape }: TensorHead, fill: (at: number, into: Uint8Array) => void): Tensor {
  const data = allocate(elem, sizeOf(shape));
  fillFromFile(elem, 0, data, fill);
  return { elem, shape, data };
}

/** Which typed field holds which element type: onnx.proto, message TensorProto. */
function fieldOf(proto: TensorProto, elem: Elem): readonly (number | Int64)[] {
  if (elem === "f32") return proto.floatData ?? [];
  if (elem === "f64") return proto.doubleData ?? [];
  if (elem === "i64") return (proto.int64Data ?? []) as readonly (number | Int64)[];
  if (elem === "ui64" || elem === "ui32") {
    return (proto.uint64Data ?? []) as readonly (number | Int64)[];
  }
  return proto.int32Data ?? [];
}

function fromFields(proto: TensorProto, head: TensorHead, path: string): Tensor {
  const { elem, shape } = head;
  const field = fieldOf(proto, elem);
  if (isPacked(elem)) {
    // Each number of int32_data holds one byte, and that two elements.
    const bytes = Uint8Array.from(field, Number);
    checkLength(head, bytes.length, path);
    return filled(head, (at, into) => into.set(bytes.subarray(at, at + into.length)));
  }
  checkLength(head, field.length * bytesPer(elem), path);
  const data = allocate(elem, field.length);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < field.length; i++) data[i] = toBigInt(field[i]);
  } else {
    // int32_data holds the bits of f16 and bf16, which is how those are stored here as well.
    for (let i = 0; i < field.length; i++) {
      const v = field[i] ?? 0;
      data[i] = typeof v === "number" ? v : Number(toBigInt(v));
    }
  }
  return { elem, shape, data };
}

/** The bytes that a file holds of a tensor, sharing its memory where they can. */
export const bytesForFile = (t: Tensor): Uint8Array =>
  isPacked(t.elem) ? packNibbles(t.data) : toBytes(t);

/** A message with raw data. */
export const toProto = (name: string, t: Tensor): TensorProto => ({
  name,
  dataType: codeOf(t.elem),
  dims: [...t.shape],
  rawData: bytesForFile(t),
});
