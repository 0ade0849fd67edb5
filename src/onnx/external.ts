/**
 * External tensor data: a file beside the model, an offset and a length. The file must lie in the
 * model's folder, so that a model from a stranger cannot make us read anything else.
 */

import { realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, sep, win32 } from "node:path";
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
 * Errors: A113 when the file is missing; A134 when the range leaves it; A114, A132 and A133 when it lies outside
 * the folder.
 */
export function externalSlice(proto: TensorProto, head: Head, model: string): FileSlice {
  const entries = new Map((proto.externalData ?? []).map((e) => [e.key ?? "", e.value ?? ""]));
  const path = resolveInside(entries.get("location") ?? "", head.name, model);
  const said = {
    offset: entries.get("offset") ?? "0",
    length: entries.get("length") ?? String(bytesInFile(head.elem, sizeOf(head.shape))),
  };
  const [offset, length] = [bytesSaid(said.offset), bytesSaid(said.length)];
  const size = statSync(path).size;
  if (offset === null || length === null || offset + length > size) {
    const range = `offset ${said.offset}, length ${said.length}`;
    const text = `tensor '${head.name}' lies at ${range} of '${entries.get("location")}', which has ${size} bytes`;
    fail("A134", text, inFile(model), "the data file is cut short, or belongs to another model");
  }
  return { path, offset, length };
}

/** null for what is no whole number of bytes, or one that cannot be counted to. */
function bytesSaid(text: string): number | null {
  const n = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(n) ? n : null;
}

/** The file's own word for where the tensor's data is. */
export const locationOf = (proto: TensorProto): string =>
  (proto.externalData ?? []).find((e) => e.key === "location")?.value ?? "";

/** All data files of a graph: the real path by the location that the file names. Errors: A113, A114, A132, A133. */
export function externalFiles(graph: GraphProto, model: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const proto of tensorsIn(graph)) {
    const location = locationOf(proto);
    if (location) files.set(location, resolveInside(location, proto.name ?? "", model));
  }
  return files;
}

/** Also those of nodes, and of the graphs inside of nodes. */
function* tensorsIn(graph: GraphProto): Iterable<TensorProto> {
  yield* graph.initializer ?? [];
  for (const { t, g } of (graph.node ?? []).flatMap((n) => n.attribute ?? [])) {
    if (t) yield t;
    if (g) yield* tensorsIn(g);
  }
}

/** The real path of a data file, which must exist inside the model's folder even behind links. */
function resolveInside(location: string, tensor: string, model: string): string {
  const place = `tensor '${tensor}' keeps its data in '${location}'`;
  const at = inFile(model);
  const move = "move the data file next to the model and name it relative to the model";
  if (isAbsolute(location) || win32.isAbsolute(location)) {
    fail("A132", `${place}, an absolute path`, at, move);
  }
  if (location === "" || location.split(/[\\/]/).includes("..")) {
    fail("A114", `${place}, outside the model's folder`, at, move);
  }
  const folder = realpathSync(dirname(model));
  let path: string;
  try {
    path = realpathSync(join(folder, location));
  } catch (e) {
    return fail("A113", `${place}: ${reason(e)}`, at, "put the data file next to the model");
  }
  if (!path.startsWith(folder.endsWith(sep) ? folder : folder + sep)) {
    const hint = "copy the data file itself next to the model, for example with cp -L";
    fail("A133", `${place}, a link that leads out of the model's folder`, at, hint);
  }
  if (!statSync(path).isFile()) {
    fail("A113", `'${location}' is not a file`, at, "put the data file next to the model");
  }
  return path;
}
