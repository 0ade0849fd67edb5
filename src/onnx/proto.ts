/** The ONNX protobuf messages, and the few conversions that every reader of them needs. */

import { readFileSync } from "node:fs";
import onnxProto from "onnx-proto";
import { fail, inFile } from "../diag/diagnostic.ts";
import { withNewerFields } from "./newer-fields.ts";
import { refuseOtherFormat } from "./other-format.ts";

export const onnx = withNewerFields(onnxProto.onnx);

export type ModelProto = onnxProto.onnx.IModelProto;
export type GraphProto = onnxProto.onnx.IGraphProto;
export type NodeProto = onnxProto.onnx.INodeProto & {
  readonly overload?: string;
  /** Notes on where in the network the node is, by their key. */
  readonly scopes?: Readonly<Record<string, string>>;
};
export type TensorProto = onnxProto.onnx.ITensorProto;
export type AttributeProto = onnxProto.onnx.IAttributeProto;
export type ValueInfoProto = onnxProto.onnx.IValueInfoProto;
export type FunctionProto = onnxProto.onnx.IFunctionProto & {
  readonly overload?: string;
  readonly attributeProto?: readonly AttributeProto[];
};

/** What protobuf gives for an int64: a number, or an object of two halves. */
export interface Int64 {
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}

export function toBigInt(v: number | Int64 | null | undefined): bigint {
  if (v === null || v === undefined) return 0n;
  if (typeof v === "number") return BigInt(v);
  const high = BigInt(v.unsigned ? v.high >>> 0 : v.high);
  return (high << 32n) | BigInt(v.low >>> 0);
}

/**
 * An int64 as a number. Beyond the exact integers it saturates at the last one: such values only
 * occur as "to the end" of a slice.
 */
export function toInt(v: number | Int64 | null | undefined): number {
  const n = Number(toBigInt(v));
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, n));
}

/** The whole file. Errors: A101 when it cannot be opened. */
export function readFileOrFail(path: string, code: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (e) {
    return fail(code, `cannot read ${what}: ${reason(e)}`, inFile(path), "check the path");
  }
}

/** Why the system refused, without the path that the message repeats. */
export function reason(e: unknown): string {
  const message = e instanceof Error ? e.message : String(e);
  return message.replace(/, (open|read|stat|lstat|access|realpath).*$/, "");
}

export function tooDeep(path: string): never {
  const hint = "no exporter nests so deeply: the file is damaged, or made to do harm";
  return fail("A124", "graphs are nested too deeply", inFile(path), hint);
}

/**
 * Errors: A102 when the bytes are not an ONNX model or are cut short, A131 when it can be told what they are
 * instead, A124 when they nest without end.
 */
export function decodeModel(bytes: Uint8Array, path: string): ModelProto {
  const hint = "the file is not ONNX, or its download or copy was cut short";
  let model: ModelProto;
  try {
    model = onnx.ModelProto.decode(bytes);
  } catch (e) {
    if (e instanceof RangeError && e.message.includes("call stack")) return tooDeep(path);
    refuseOtherFormat(bytes, path);
    return fail("A102", `not a readable ONNX model: ${reason(e)}`, inFile(path), hint);
  }
  if (!model.graph) {
    refuseOtherFormat(bytes, path);
    fail("A102", "no ONNX graph in this file", inFile(path), hint);
  }
  return model;
}
