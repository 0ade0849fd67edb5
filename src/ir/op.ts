/** The IR as plain, read-only data: a module is a list of operations on named values. */

import type { Tensor, TensorType } from "../tensor/tensor.ts";

/** The four levels of the compiler, in the order of lowering. */
export const LEVELS = ["onnx", "nn", "aimc", "program"] as const;
export type Level = (typeof LEVELS)[number];

/**
 * A constant by name. Its values stay in the model file (or, for folded constants, in memory) until
 * somebody loads them, so a dump shows the name, the type and a digest, never the bytes.
 */
export interface WeightRef {
  readonly weight: string;
  readonly type: TensorType & { readonly shape: readonly number[] };
  /**
   * SHA-256 of the little-endian bytes, in hex; or `place:` and the SHA-256 of which bytes of which files these
   * are, or what they are computed from, for weights that are not read just to name them.
   */
  readonly sha256: string;
}

/** Numbers print as integers when they are integers; an operation's attribute table says which is meant. */
export type Attr =
  | number
  | string
  | boolean
  | WeightRef
  | Tensor
  | readonly Attr[]
  | { readonly [key: string]: Attr };

export type Attrs = Readonly<Record<string, Attr>>;

/** One SSA value. Identity is the object: two values are the same exactly when they are `===`. */
export interface Value {
  /** Unique in the module; printed after `%`. */
  readonly id: string;
  readonly type: TensorType;
  /**
   * The tensor of the ONNX file that holds the same numbers in the same layout, if there is one: what
   * verification compares against. Inside of calls and loops it is that of the file with these inlined.
   */
  readonly tensor?: string;
}

export interface Op {
  readonly kind: string;
  /** null where an optional operand is absent. */
  readonly operands: readonly (Value | null)[];
  readonly results: readonly Value[];
  readonly attrs: Attrs;
  /** Names of the ONNX nodes this operation came from, never empty once a pass has run. */
  readonly origin: readonly string[];
}

export interface Module {
  readonly level: Level;
  /** The model's name, for messages. */
  readonly name: string;
  /** Graph inputs and outputs with the names that the ONNX file gives them. */
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly ops: readonly Op[];
}

export interface Port {
  readonly name: string;
  readonly value: Value;
}

export const isTensorAttr = (a: Attr | undefined): a is Tensor =>
  typeof a === "object" && a !== null && "elem" in a && "data" in a;

export const isWeightRef = (a: Attr | undefined): a is WeightRef =>
  typeof a === "object" && a !== null && "weight" in a && "sha256" in a;
