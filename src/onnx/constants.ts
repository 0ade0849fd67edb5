/** Constants of a file: small ones become values in the IR, the others references to their bytes. */

import { type Diagnostic, InputError } from "../diag/diagnostic.ts";
import { type Attr, isTensorAttr, isWeightRef } from "../ir/op.ts";
import { fromNumbers } from "../tensor/convert.ts";
import { type Elem, sizeOf, type Tensor, zeros } from "../tensor/tensor.ts";
import { digest, digestOfSlice, type FileSlice, type ModelStore } from "../weights/model-store.ts";
import { externalSlice, locationOf } from "./external.ts";
import type { GraphNode, MakeConstant } from "./graph.ts";
import type { TensorProto } from "./proto.ts";
import { leftOut } from "./skeleton.ts";
import { checkLength, headOf, isExternal, tensorOf } from "./tensor-proto.ts";

/** Constants of at most so many elements are written out in the IR: shapes, axes, scalars. */
const INLINE = 64;

/** Of constants with at most so many bytes the contents are read to tell equal ones. */
const DIGESTED = 1 << 20;

/** `sha256` is that of the model file. */
export function constantMaker(path: string, sha256: string, store: ModelStore): MakeConstant {
  return (proto, name) => {
    const head = headOf({ ...proto, name: proto.name || name }, path);
    if (sizeOf(head.shape) <= INLINE) return tensorOf(proto, path);
    const slice = isExternal(proto) ? externalSlice(proto, head, path) : leftOut(proto, path);
    if (!slice) return store.add(name, tensorOf(proto, path));
    checkLength(head, slice.length, path);
    const type = { elem: head.elem, shape: head.shape };
    return store.addSlice(name, type, slice, identityOf(slice, proto, sha256));
  };
}

/** Weights without values: fewer bytes than their shape asks for, or a data file that is not there. */
const ABSENT: ReadonlySet<string> = new Set(["A112", "A113"]);

/** The same, but zeros stand for the values of weights that are not there, and `tell` hears of them. */
export function withoutValues(
  make: MakeConstant,
  path: string,
  store: ModelStore,
  tell: (absent: Diagnostic) => void,
): MakeConstant {
  return (proto, name) => {
    try {
      return make(proto, name);
    } catch (error) {
      const [absent] = error instanceof InputError ? error.diagnostics : [];
      const { elem, shape } = headOf({ ...proto, name: proto.name || name }, path);
      if (!absent || !ABSENT.has(absent.code) || sizeOf(shape) <= INLINE) throw error;
      tell(absent);
      return store.defer(name, { elem, shape }, `absent:${name}`, () => zeros(elem, shape));
    }
  };
}

/**
 * The digest of the contents, or for large constants, which are read only once and then written, of their
 * place: the same bytes of the same files are the same constant.
 */
function identityOf(slice: FileSlice, proto: TensorProto, model: string): string {
  if (slice.length <= DIGESTED) return digestOfSlice(slice);
  const location = isExternal(proto) ? locationOf(proto) : "";
  const place = `${model} ${slice.offset} ${slice.length} ${location}`;
  return `place:${digest(Buffer.from(place))}`;
}

/** A constant that no file holds, as an attribute. */
export const held = (name: string, value: Tensor, store: ModelStore): Attr =>
  sizeOf(value.shape) <= INLINE ? value : store.add(name, value);

/**
 * The value of a Constant node in whichever of its spellings; undefined for strings and sparse ones, null
 * when the value is not of the kind that its attribute's name says.
 */
export function constantValue(node: GraphNode): Attr | null | undefined {
  const { value, value_float, value_floats, value_int, value_ints } = node.attrs;
  if (value !== undefined) return isTensorAttr(value) || isWeightRef(value) ? value : null;
  if (value_float !== undefined) return scalar("f32", value_float);
  if (value_int !== undefined) return scalar("i64", value_int);
  if (value_floats !== undefined) return listed("f32", value_floats);
  return value_ints === undefined ? undefined : listed("i64", value_ints);
}

const scalar = (elem: Elem, value: Attr): Tensor | null =>
  typeof value === "number" ? fromNumbers(elem, [], [value]) : null;

function listed(elem: Elem, values: Attr): Tensor | null {
  if (!Array.isArray(values) || !values.every((v) => typeof v === "number")) return null;
  return fromNumbers(elem, [values.length], values);
}

/** Number of elements of an initializer, for counting parameters. */
export const elementsOf = (proto: TensorProto, path: string): number =>
  sizeOf(headOf(proto, path).shape);
