/** What the tools know about one kind of operation: one record, read by all of them. */

import type { Tensor, TensorType } from "../tensor/tensor.ts";
import type { Access } from "./access.ts";
import type { Attr, Level, Op, Value } from "./op.ts";

export type AttrKind =
  | "int"
  | "float"
  | "string"
  | "bool"
  | "ints"
  | "floats"
  | "strings"
  | "tensor"
  | "weight"
  | "dict"
  | "any";

export interface AttrSpec {
  readonly kind: AttrKind;
  readonly optional?: true;
}

/** What shape inference may know of an operand: its type, and its values when they are constant. */
export interface Known {
  readonly type: TensorType;
  readonly value?: Tensor;
}

/** Collects the ONNX nodes that an operation stands for. Names are those of the exported graph. */
export interface OnnxGraph {
  /** Adds a node with one result and gives that result's name. An absent input is "". */
  node(
    opType: string,
    inputs: readonly string[],
    attrs?: Readonly<Record<string, OnnxAttr>>,
    options?: { readonly domain?: string; readonly outputs?: readonly string[] },
  ): string;
  /** Adds a constant initializer and gives its name. */
  constant(value: Tensor): string;
  /** Adds an initializer for an IR weight reference and gives its name. */
  weight(attr: Attr): string;
}

/** ONNX attributes, their kind said aloud because JavaScript cannot tell 1 from 1.0. */
export type OnnxAttr =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: Tensor };

export interface OpDef {
  /** `dialect.name`; the dialect's file holds the record. */
  readonly kind: string;
  /** The levels whose modules may contain it. */
  readonly levels: readonly Level[];
  readonly doc: string;
  /** Operand names in order. `name?` may be absent, a last `name*` takes any number. */
  readonly operands: readonly string[];
  /** Result names in order; `name?` and a last `name*` as for operands. */
  readonly results: readonly string[];
  readonly attrs: Readonly<Record<string, AttrSpec>>;
  /** True when the operation reads from or writes to something beyond its operands and results. */
  readonly effect?: true;
  /** What is wrong with this operation, beyond counts and attribute kinds; one sentence each. */
  verify?(op: Op): Iterable<string>;
  /** Types of the results, from the operands and attributes. null: an absent operand. */
  infer?(op: Op, operands: readonly (Known | null)[]): readonly TensorType[];
  /**
   * How results depend on operands; absent or null: every result element needs all of them.
   * `constants` are the operands' values where they are constant and small (the axes of a Squeeze,
   * the starts of a Slice); without them the answer is coarser, never wrong.
   */
  access?(op: Op, constants?: ReadonlyMap<Value, Tensor>): Access | null;
  /**
   * The meaning, as ONNX nodes. `inputs` are the operands' names ("" for absent ones), `outputs` the
   * names that the results must get.
   */
  toOnnx(op: Op, graph: OnnxGraph, inputs: readonly string[], outputs: readonly string[]): void;
}

export const attr = {
  int: { kind: "int" },
  float: { kind: "float" },
  string: { kind: "string" },
  bool: { kind: "bool" },
  ints: { kind: "ints" },
  floats: { kind: "floats" },
  strings: { kind: "strings" },
  tensor: { kind: "tensor" },
  weight: { kind: "weight" },
  dict: { kind: "dict" },
  any: { kind: "any" },
} as const satisfies Record<string, AttrSpec>;

export const optional = (spec: AttrSpec): AttrSpec => ({ ...spec, optional: true });
