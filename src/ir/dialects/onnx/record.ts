/** Makes the record of one ONNX operator; what all of them have in common is here. */

import type { AttrKind, AttrSpec, OnnxAttr, OnnxGraph, OpDef } from "../../define.ts";
import { attr, optional } from "../../define.ts";
import { type Attr, isTensorAttr, type Level, type Op } from "../../op.ts";

/** Attributes with a default in the ONNX specification may be left out. */
export const int = optional(attr.int);
export const float = optional(attr.float);
export const string = optional(attr.string);
export const ints = optional(attr.ints);
export const tensor = optional(attr.tensor);

/** onnx.* operations that no raising recognises stay digital operations until the aimc level. */
const LEVELS: readonly Level[] = ["onnx", "nn", "aimc"];

/** An attribute that must have one of these values, where it is given. */
export function* oneOf(op: Op, name: string, values: readonly Attr[]): Iterable<string> {
  const value = op.attrs[name];
  if (value === undefined || values.includes(value)) return;
  yield `has ${name} ${JSON.stringify(value)}; it may be ${values.map((v) => `${v}`).join(", ")}`;
}

type Fields = Pick<OpDef, "doc" | "operands" | "infer" | "access" | "verify"> &
  Partial<Pick<OpDef, "results" | "attrs" | "levels" | "toOnnx">>;

/** `name` is the ONNX operator's, after its domain and a dot where that is not the default one. */
export function onnxOp(name: string, fields: Fields): OpDef {
  const { attrs = {}, results = ["y"], levels = LEVELS, ...rest } = fields;
  return {
    ...rest,
    kind: `onnx.${name}`,
    levels,
    results,
    attrs,
    toOnnx:
      fields.toOnnx ??
      ((op, graph, inputs, outputs) => asNode(name, attrs, op, graph, inputs, outputs)),
  };
}

/** An operator of ONNX Runtime's own domain. */
export const microsoftOp = (name: string, fields: Fields): OpDef =>
  onnxOp(`com.microsoft.${name}`, fields);

function asNode(
  name: string,
  specs: Readonly<Record<string, AttrSpec>>,
  op: Op,
  graph: OnnxGraph,
  inputs: readonly string[],
  outputs: readonly string[],
): void {
  const dot = name.lastIndexOf(".");
  const attrs: Record<string, OnnxAttr> = {};
  for (const [key, spec] of Object.entries(specs)) {
    const value = op.attrs[key];
    if (value !== undefined) attrs[key] = onnxAttr(spec.kind, value);
  }
  const domain = dot < 0 ? {} : { domain: name.slice(0, dot) };
  graph.node(name.slice(dot + 1), withoutAbsentTail(inputs), attrs, { ...domain, outputs });
}

/** ONNX spells an absent last input by leaving it out. */
function withoutAbsentTail(inputs: readonly string[]): readonly string[] {
  const last = inputs.findLastIndex((name) => name !== "");
  return inputs.slice(0, last + 1);
}

function onnxAttr(kind: AttrKind, value: Attr): OnnxAttr {
  switch (kind) {
    case "int":
      return { int: value as number };
    case "float":
      return { float: value as number };
    case "string":
      return { string: value as string };
    case "ints":
      return { ints: value as readonly number[] };
    case "floats":
      return { floats: value as readonly number[] };
    case "strings":
      return { strings: value as readonly string[] };
    case "tensor":
      if (isTensorAttr(value)) return { tensor: value };
  }
  throw new Error(`an attribute of kind ${kind} has no ONNX form`);
}
