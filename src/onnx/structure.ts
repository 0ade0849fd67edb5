/** The structure of a model file: everything but the values of its large tensors. */

import { readdirSync, statSync } from "node:fs";
import { fail, inFile } from "../diag/diagnostic.ts";
import { decodeModel, type ModelProto, reason, toInt } from "./proto.ts";
import { readSkeleton, type Skeleton } from "./skeleton.ts";

/** A protobuf message has at most so many bytes, as its lengths are signed 32-bit numbers. */
const LARGEST = 2 ** 31 - 1;

/** Version of the file format that came with ONNX 1.20; what newer ones say would be passed over. */
const NEWEST_FORMAT = 13;

export interface Structure {
  readonly model: ModelProto;
  /** SHA-256 of the file, in hex. */
  readonly sha256: string;
}

/**
 * Errors: A101 when the file cannot be read, A102 and A131 when it is not a model, A118 when it is too large, A137
 * when its format is newer than what is known.
 */
export function readStructure(path: string): Structure {
  let skeleton: Skeleton;
  try {
    const file = statSync(path);
    if (file.isDirectory()) folder(path);
    const { size } = file;
    if (size > LARGEST) tooLarge(path, size);
    skeleton = readSkeleton(path);
  } catch (e) {
    if (e instanceof Error && !("code" in e)) throw e;
    return fail("A101", `cannot read the model: ${reason(e)}`, inFile(path), "check the path");
  }
  const { message, sha256 } = skeleton;
  const model = decodeModel(message, path);
  const version = toInt(model.irVersion as number);
  if (version > NEWEST_FORMAT) tooNew(path, version);
  return { model, sha256 };
}

function folder(path: string): never {
  const models = readdirSync(path).filter((name) => name.endsWith(".onnx"));
  const [first] = models;
  const hint =
    first === undefined
      ? "give the path of a .onnx file"
      : `give a file in it: ${models.join(", ")}`;
  return fail("A101", "cannot read the model: this is a folder", inFile(path), hint);
}

function tooNew(path: string, version: number): never {
  const text = `the file has version ${version} of the ONNX file format, versions up to ${NEWEST_FORMAT} are known`;
  const hint = "save it with an older version of onnx, or set model.ir_version = 10";
  return fail("A137", text, inFile(path), hint);
}

function tooLarge(path: string, size: number): never {
  const text = `the model has ${(size / 2 ** 30).toFixed(2)} GiB, an ONNX file holds less than 2`;
  const hint = "save the weights beside it: onnx.save(model, path, save_as_external_data=True)";
  return fail("A118", text, inFile(path), hint);
}
