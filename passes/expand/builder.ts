/** Writes the operations that stand for one composite operation, typed and folded as they are made. */

import { createHash } from "node:crypto";
import type { Known } from "../../src/ir/define.ts";
import {
  type Attrs,
  isTensorAttr,
  isWeightRef,
  type Op,
  type Value,
  type WeightRef,
} from "../../src/ir/op.ts";
import { defOf } from "../../src/ir/registry.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import {
  type Elem,
  isStatic,
  sizeOf,
  type Tensor,
  type TensorType,
} from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { evaluate } from "../infer/evaluate.ts";

/** Why an operation stays as it is; the pass tells the user. */
export class Inexpressible extends Error {}

export function cannot(why: string): never {
  throw new Inexpressible(why);
}

/** Constants with more elements join the weights; smaller ones are readable in a dump. */
const INLINE = 64;
/** Constants with more elements than this never decide a shape. */
const SHAPE_LENGTH = 4096;

type Operand = Value | null;
type StaticType = WeightRef["type"];

export interface Module {
  /** Values that an operation or the caller reads. */
  readonly read: ReadonlySet<Value | null>;
  readonly weights: WeightStore;
  readonly constants: Map<Value, () => Tensor>;
  /** Constants that were computed from the file's, by name. */
  readonly derived: Map<string, WeightRef>;
  fresh(base: string): string;
}

export interface Assumption {
  readonly of: Value;
  /** What follows "… takes it that". */
  readonly text: string;
}

/** Collects operations. Those whose operands are all constant become constants at once. */
export class Builder {
  readonly ops: Op[] = [];
  /** What an expansion takes for granted of values that are not constant. */
  readonly assumptions: Assumption[] = [];
  private readonly module: Module;
  private readonly source: Op;

  constructor(module: Module, source: Op) {
    this.module = module;
    this.source = source;
  }

  /** An operation of ONNX's own domain with one result. */
  op(type: string, operands: readonly Operand[], attrs: Attrs = {}): Value {
    const [value] = this.several(type, operands, 1, attrs);
    if (!value) throw new Error(`${type} gives nothing`);
    return value;
  }

  several(type: string, operands: readonly Operand[], count: number, attrs: Attrs = {}): Value[] {
    const kind = `onnx.${type}`;
    const unknown: TensorType = { elem: "f32", shape: [] };
    const { origin } = this.source;
    const unnamed = Array.from({ length: count }, () => ({ id: "", type: unknown }));
    const draft: Op = { kind, operands, results: unnamed, attrs, origin };
    const types =
      defOf(kind).infer?.(
        draft,
        operands.map((v) => v && this.known(v)),
      ) ?? [];
    const results = unnamed.map((_, i) => this.define(type, types[i] ?? unknown));
    const op = { ...draft, results };
    const values = evaluate(op, this.module.constants, Number.POSITIVE_INFINITY);
    if (values) return results.map((v, i) => this.hold(v, values[i]));
    this.ops.push(op);
    return results;
  }

  constant(value: Tensor): Value {
    return this.hold(this.define("constant", { elem: value.elem, shape: value.shape }), value);
  }

  /** A constant made from one of the file's, whose name tells which module it belongs to. */
  weight(value: Tensor, from: Value): Value {
    const v = this.define("weight", { elem: value.elem, shape: value.shape });
    return this.hold(v, value, from.tensor ?? from.id);
  }

  /**
   * A constant that is computed from one of the file's when it is asked for, so that a model's weights are
   * never all in memory. `how` tells apart what is computed from the same one.
   */
  late(from: Value, how: string, type: StaticType, compute: () => Tensor): Value {
    const { weights, constants, derived } = this.module;
    const name = `${from.tensor ?? from.id}.${how}`;
    const v = this.define("weight", type);
    const known = derived.get(name);
    const sha256 = `place:${createHash("sha256").update(`${how} of ${name}`).digest("hex")}`;
    const ref =
      known ?? weights.defer?.(name, type, sha256, compute) ?? weights.add(name, compute());
    derived.set(name, ref);
    constants.set(v, () => weights.load(ref));
    const { origin } = this.source;
    this.ops.push({
      kind: "onnx.Constant",
      operands: [],
      results: [v],
      attrs: { value: ref },
      origin,
    });
    return v;
  }

  ints(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    return this.constant(fromNumbers("i64", shape, values));
  }

  number(elem: Elem, value: number): Value {
    return this.constant(fromNumbers(elem, [], [value]));
  }

  /** The values of a constant; undefined where the value is computed. */
  valueOf(v: Operand | undefined): Tensor | undefined {
    return v ? this.module.constants.get(v)?.() : undefined;
  }

  /** Takes something for granted of a value, and has the user told of it. */
  assume(of: Value, text: string): void {
    this.assumptions.push({ of, text });
  }

  isConstant(v: Operand | undefined): boolean {
    return v ? this.module.constants.has(v) : false;
  }

  private define(type: string, of: TensorType): Value {
    const base = this.source.results[0]?.id ?? "value";
    return { id: this.module.fresh(`${base}_${type.toLowerCase()}`), type: of };
  }

  private hold(v: Value, value: Tensor | undefined, name = v.id): Value {
    if (!value) throw new Error(`${v.id} has no value`);
    const { weights, constants } = this.module;
    const attr = sizeOf(value.shape) <= INLINE ? value : weights.add(name, value);
    constants.set(v, () => value);
    const { origin } = this.source;
    const attrs = { value: attr };
    this.ops.push({ kind: "onnx.Constant", operands: [], results: [v], attrs, origin });
    return v;
  }

  private known(v: Value): Known {
    const small = isStatic(v.type) && sizeOf(v.type.shape) <= SHAPE_LENGTH;
    const value = small ? this.valueOf(v) : undefined;
    return value ? { type: v.type, value } : { type: v.type };
  }
}

/** The values of a Constant, loaded when asked for. */
export function constantsOf(ops: readonly Op[], weights: WeightStore): Module["constants"] {
  const constants = new Map<Value, () => Tensor>();
  for (const op of ops) {
    const [result] = op.results;
    const value = op.kind === "onnx.Constant" ? op.attrs["value"] : undefined;
    if (result && isTensorAttr(value)) constants.set(result, () => value);
    else if (result && isWeightRef(value)) constants.set(result, () => weights.load(value));
  }
  return constants;
}
