/**
 * External tensor data: a file beside the model, an offset and a length. The file must lie in the
 * model's folder, so that a model from a stranger cannot make us read anything else.
 */

import { realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, sep } from "node:path";
import { fail, inFile } from "../diag/diagnostic.ts";
import { bytesInFile } from "../tensor/nibbles.ts";
import { type Elem, sizeOf } from "../tensor/tensor.ts";
import type { FileSlice } from "../weights/model-store.ts";
import { type GraphProto, reason, type TensorProto } from "./proto.ts";

interface Head {
  readonly name: string;
  readonly elem: Elem;
  readonly shape: readonly number[];
}

/**
 * Where the tensor's bytes are.
 * Errors: A113 when the file is missing or the range leaves it; A114 when it lies outside the folder.
 */
export function externalSlice(proto: TensorProto, head: Head, model: string): FileSlice {
  const entries = new Map((proto.externalData ?? []).map((e) => [e.key ?? "", e.value ?? ""]));
  const path = resolveInside(entries.get("location") ?? "", head.name, model);
  const offset = Number(entries.get("offset") ?? 0);
  const length = Number(entries.get("length") ?? bytesInFile(head.elem, sizeOf(head.shape)));
  const size = statSync(path).size;
  if (![offset, length].every((n) => Number.isSafeInteger(n) && n >= 0) || offset + length > size) {
    const text = `tensor '${head.name}' lies at bytes ${offset} to ${offset + length} of ${path}, which has ${size}`;
    fail("A113", text, inFile(model), "the data file is cut short, or belongs to another model");
  }
  return { path, offset, length };
}

/** The file's own word for where the tensor's data is. */
export const locationOf = (proto: TensorProto): string =>
  (proto.externalData ?? []).find((e) => e.key === "location")?.value ?? "";

/** All data files of a graph: the real path by the location that the file names. Errors: A113, A114. */
export function externalFiles(graph: GraphProto, model: string): ReadonlyMap<string, string> {
  const constants = (graph.node ?? []).flatMap((n) =>
    (n.attribute ?? []).flatMap((a) => (a.t ? [a.t] : [])),
  );
  const files = new Map<string, string>();
  for (const proto of [...(graph.initializer ?? []), ...constants]) {
    const location = locationOf(proto);
    if (location) files.set(location, resolveInside(location, proto.name ?? "", model));
  }
  return files;
}

/** The real path of a data file, which must exist inside the model's folder even behind links. */
function resolveInside(location: string, tensor: string, model: string): string {
  const outside = (): never =>
    fail(
      "A114",
      `tensor '${tensor}' keeps its data in '${location}', outside the model's folder`,
      inFile(model),
      "move the data file next to the model and name it relative to the model",
    );
  if (location === "" || isAbsolute(location) || location.split(/[\\/]/).includes("..")) outside();
  const folder = realpathSync(dirname(model));
  let path: string;
  try {
    path = realpathSync(join(folder, location));
  } catch (e) {
    const text = `tensor '${tensor}' keeps its data in '${location}': ${reason(e)}`;
    return fail("A113", text, inFile(model), "put the data file next to the model");
  }
  if (!path.startsWith(folder.endsWith(sep) ? folder : folder + sep)) outside();
  if (!statSync(path).isFile()) {
    fail(
      "A113",
      `'${location}' is not a file`,
      inFile(model),
      "put the data file next to the model",
    );
  }
  return path;
}
