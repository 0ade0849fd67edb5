/** The constants that operations hold or read, each known by its contents. */

import {
  type Attr,
  isTensorAttr,
  isWeightRef,
  type Module,
  type Op,
  type Value,
} from "../ir/op.ts";
import { type Elem, sizeOf } from "../tensor/tensor.ts";

export interface Held {
  /** Equal for constants that are the same. */
  readonly key: unknown;
  /** The file's name for it, when it has one. */
  readonly name: string | undefined;
  readonly elem: Elem;
  readonly elements: number;
}

/** A constant in an attribute. */
export function constantOf(attr: Attr | undefined, tensor?: string): Held | undefined {
  if (isWeightRef(attr)) {
    const { type, sha256, weight } = attr;
    return { key: sha256, name: weight, elem: type.elem, elements: sizeOf(type.shape) };
  }
  if (!isTensorAttr(attr)) return undefined;
  return { key: attr, name: tensor, elem: attr.elem, elements: sizeOf(attr.shape) };
}

/** What values are constants. */
export const constantsIn = (module: Module): ReadonlyMap<Value, Held> =>
  new Map(
    module.ops.flatMap((op): [Value, Held][] => {
      const [result] = op.results;
      if (op.kind !== "onnx.Constant" || !result) return [];
      const held = constantOf(op.attrs["value"], result.tensor);
      return held ? [[result, held]] : [];
    }),
  );

/** Names that constants have in the file. */
export const namesIn = (source: Module): ReadonlySet<string> =>
  new Set(
    source.ops.flatMap((op) => {
      const held = constantOf(op.attrs["value"], op.results[0]?.tensor);
      return op.kind === "onnx.Constant" && held?.name !== undefined ? [held.name] : [];
    }),
  );

/** One matrix of a stack. */
function sliced(held: Held | undefined, attr: Attr | undefined, slice: Attr | undefined) {
  const shape = isWeightRef(attr) ? attr.type.shape : isTensorAttr(attr) ? attr.shape : [];
  const [count = 1] = shape;
  if (!held || slice === undefined) return held;
  return { ...held, key: `${String(held.key)} ${String(slice)}`, elements: held.elements / count };
}

/** The constant in an operation's attributes that a tile would hold; what makes integers real is none. */
export const weightsOf = ({ attrs }: Op): readonly Held[] => {
  const held = sliced(constantOf(attrs["weight"]), attrs["weight"], attrs["slice"]);
  return held ? [held] : [];
};

/** Constants among an operation's operands. */
export const constantsReadBy = (op: Op, constants: ReadonlyMap<Value, Held>): readonly Held[] =>
  op.operands.flatMap((v) => (v ? (constants.get(v) ?? []) : []));
