/** Constants of a file: small ones become values in the IR, the others references to their bytes. */

import type { Attr } from "../ir/op.ts";
import { fromNumbers } from "../tensor/convert.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { digest, digestOfSlice, type FileSlice, type ModelStore } from "../weights/model-store.ts";
import { externalSlice } from "./external.ts";
import type { GraphNode, MakeConstant } from "./graph.ts";
import type { TensorProto } from "./proto.ts";
import { checkLength, hasRaw, headOf, isExternal, tensorOf } from "./tensor-proto.ts";

/** Constants of at most so many elements are written out in the IR: shapes, axes, scalars. */
const INLINE = 64;

/** `bytes` is the whole model file: raw data is found again by its place in it. */
export function constantMaker(path: string, bytes: Uint8Array, store: ModelStore): MakeConstant {
  return (proto, name) => {
    const head = headOf({ ...proto, name: proto.name || name }, path);
    if (sizeOf(head.shape) <= INLINE) return tensorOf(proto, path);
    const slice = isExternal(proto) ? externalSlice(proto, head, path) : inlineSlice(proto);
    if (!slice) return store.add(name, tensorOf(proto, path));
    checkLength(head, slice.length, path);
    const raw = isExternal(proto) ? null : (proto.rawData as Uint8Array);
    const sha256 = raw ? digest(raw) : digestOfSlice(slice);
    return store.addSlice(name, { elem: head.elem, shape: head.shape }, slice, sha256);
  };

  function inlineSlice(proto: TensorProto): FileSlice | null {
    const raw = proto.rawData;
    if (!hasRaw(proto) || !raw || raw.buffer !== bytes.buffer) return null;
    return { path, offset: raw.byteOffset - bytes.byteOffset, length: raw.length };
  }
}

/** The value of a Constant node in whichever of its spellings; undefined for strings and sparse ones. */
export function constantValue(node: GraphNode): Attr | undefined {
  const { value, value_float, value_floats, value_int, value_ints } = node.attrs;
  if (value !== undefined) return value;
  if (typeof value_float === "number") return fromNumbers("f32", [], [value_float]);
  if (typeof value_int === "number") return fromNumbers("i64", [], [value_int]);
  const list = (v: Attr): readonly number[] => v as readonly number[];
  if (value_floats !== undefined)
    return fromNumbers("f32", [list(value_floats).length], list(value_floats));
  if (value_ints !== undefined)
    return fromNumbers("i64", [list(value_ints).length], list(value_ints));
  return undefined;
}

/** Number of elements of an initializer, for counting parameters. */
export const elementsOf = (proto: TensorProto, path: string): number =>
  sizeOf(headOf(proto, path).shape);
