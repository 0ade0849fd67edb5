/** The structure of a model file: everything but the values of its large tensors. */

import { statSync } from "node:fs";
import { fail, inFile } from "../diag/diagnostic.ts";
import { decodeModel, type ModelProto, reason } from "./proto.ts";
import { readSkeleton, type Skeleton } from "./skeleton.ts";

/** A protobuf message has at most so many bytes, as its lengths are signed 32-bit numbers. */
const LARGEST = 2 ** 31 - 1;

export interface Structure {
  readonly model: ModelProto;
  /** SHA-256 of the file, in hex. */
  readonly sha256: string;
}

/** Errors: A101 when the file cannot be read, A102 when it is not a model, A118 when it is too large. */
export function readStructure(path: string): Structure {
  let skeleton: Skeleton;
  try {
    const { size } = statSync(path);
    if (size > LARGEST) tooLarge(path, size);
    skeleton = readSkeleton(path);
  } catch (e) {
    if (e instanceof Error && !("code" in e)) throw e;
    return fail("A101", `cannot read the model: ${reason(e)}`, inFile(path), "check the path");
  }
  const { message, sha256 } = skeleton;
  return { model: decodeModel(message, path), sha256 };
}

function tooLarge(path: string, size: number): never {
  const text = `the model has ${(size / 2 ** 30).toFixed(2)} GiB, an ONNX file holds less than 2`;
  const hint = "save the weights beside it: onnx.save(model, path, save_as_external_data=True)";
  return fail("A118", text, inFile(path), hint);
}
