/** Tensors in files of their own: `.pb` (a TensorProto), `.npy`, `.npz`. */

import { readFileSync, writeFileSync } from "node:fs";
import { extname } from "node:path";
import { fail, inFile } from "../diag/diagnostic.ts";
import { onnx } from "../onnx/proto.ts";
import { tensorOf, toProto } from "../onnx/tensor-proto.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { readNpy, readNpz } from "./npy.ts";

export interface NamedTensor {
  /** The name that the file itself gives, or "". */
  readonly name: string;
  readonly value: Tensor;
}

/**
 * The tensors of a file: one, or for an .npz all of its arrays.
 * Errors: A421 when it cannot be opened, A420 when it does not hold a tensor.
 */
export function readTensorFile(path: string): readonly NamedTensor[] {
  const bytes = bytesOf(path);
  switch (extname(path)) {
    case ".npy":
      return [{ name: "", value: readNpy(bytes, path) }];
    case ".npz":
      return [...readNpz(bytes, path)].map(([name, value]) => ({ name, value }));
    case ".pb":
      return [readProto(bytes, path)];
    default: {
      const text = `cannot tell what kind of file this is`;
      return fail("A420", text, inFile(path), "tensors come as .pb, .npy or .npz");
    }
  }
}

function bytesOf(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/,.*/s, "") : String(error);
    return fail("A421", `cannot read the tensor (${reason})`, inFile(path), "check the path");
  }
}

function readProto(bytes: Uint8Array, path: string): NamedTensor {
  try {
    const proto = onnx.TensorProto.decode(bytes);
    return { name: proto.name ?? "", value: tensorOf(proto, path) };
  } catch (error) {
    if (error instanceof RangeError || (error instanceof Error && error.name === "Error")) {
      const hint = "a .pb file holds one serialized TensorProto, as onnx.numpy_helper writes it";
      return fail("A420", "not a readable TensorProto", inFile(path), hint);
    }
    throw error;
  }
}

export function writeProtoFile(path: string, name: string, value: Tensor): void {
  writeFileSync(path, onnx.TensorProto.encode(toProto(name, value)).finish());
}
