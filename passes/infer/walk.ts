/**
 * The forward walk that infer-shapes and fold-constants share. Shapes decide constants (Shape, Range)
 * and constants decide shapes (Reshape, Expand), so each operation is typed and, where its operands
 * are constant, evaluated before the next one is looked at.
 */

import { fail } from "../../src/diag/diagnostic.ts";
import type { Known } from "../../src/ir/define.ts";
import { possible, ShapeError } from "../../src/ir/dialects/onnx/shape.ts";
import { isTensorAttr, isWeightRef, type Module, type Op, type Value } from "../../src/ir/op.ts";
import { defOf } from "../../src/ir/registry.ts";
import {
  isFloat,
  isStatic,
  showType,
  sizeOf,
  type Tensor,
  TensorFault,
  type TensorType,
} from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { evaluate, Overgrown } from "./evaluate.ts";

export interface Rules {
  readonly weights: WeightStore;
  /** Constants and results with more elements than this are not looked into. */
  readonly limit: number;
  /** What stands for an operation whose results are constants. Must define its results. */
  replace(op: Op, values: readonly Tensor[]): readonly Op[];
  /**
   * What stands for an operation whose constant results are better not computed now; null for one that should
   * be. `load` gives the values of constant operands, when the time comes.
   */
  defer?(op: Op, load: (v: Value) => Tensor | null): readonly Op[] | null;
}

/** Constants with more elements than this never decide a shape; of floats those of a Range or Resize do. */
const SHAPE_LENGTH = 4096;
const SCALES = 8;

interface State {
  readonly rules: Rules;
  /** Values by their older selves, where inference gave them another type. */
  readonly now: Map<Value, Value>;
  readonly constants: Map<Value, () => Tensor>;
}

/** Errors: A150 when an operation can have no type. */
export function walk(module: Module, rules: Rules): Module {
  const state: State = { rules, now: new Map(), constants: new Map() };
  const ops = module.ops.flatMap((op) => step(module, op, state));
  const outputs = module.outputs.map((p) => ({ ...p, value: state.now.get(p.value) ?? p.value }));
  return { ...module, ops, outputs };
}

function step(module: Module, before: Op, state: State): readonly Op[] {
  const { rules, now, constants } = state;
  const reading = { ...before, operands: before.operands.map((v) => v && (now.get(v) ?? v)) };
  const typed = retyped(reading, inferred(module, reading, state));
  const deferred = rules.defer?.(typed, (v) => constants.get(v)?.() ?? null);
  const values = deferred ? null : evaluated(module, typed, state);
  const op = values ? retyped(typed, values) : typed;
  for (const [i, v] of before.results.entries()) {
    const after = op.results[i];
    if (after && after !== v) now.set(v, after);
  }
  const ops = deferred ?? (values ? rules.replace(op, values) : [op]);
  for (const constant of ops) remember(constant, state);
  for (const [i, v] of op.results.entries()) {
    const value = values?.[i];
    if (value && !constants.has(v)) constants.set(v, () => value);
  }
  return ops;
}

/** Errors: A128 when a constant would take too much memory; A152 when the operation has no answer. */
function evaluated(module: Module, op: Op, { rules, constants }: State): readonly Tensor[] | null {
  try {
    return evaluate(op, constants, rules.limit);
  } catch (e) {
    if (!(e instanceof TensorFault)) throw e;
    const at = { kind: "node", model: module.name, nodes: op.origin } as const;
    if (e instanceof Overgrown) {
      const text = `${shortName(op)} of constants: ${e.message}`;
      return fail("A128", text, at, "export the model for smaller sizes");
    }
    const hint = "the model's own constants are wrong: export it again";
    return fail("A152", `${shortName(op)} of constants: ${e.message}`, at, hint);
  }
}

/** Notes the value of a Constant; weights are loaded when asked for. */
function remember(op: Op, { rules, constants }: State): void {
  const value = op.attrs["value"];
  const [result] = op.results;
  if (op.kind !== "onnx.Constant" || !result) return;
  if (isTensorAttr(value)) constants.set(result, () => value);
  else if (isWeightRef(value) && sizeOf(value.type.shape) <= rules.limit) {
    constants.set(result, () => rules.weights.load(value));
  }
}

function inferred(module: Module, op: Op, { constants }: State): readonly TensorType[] {
  const infer = defOf(op.kind).infer;
  if (!infer) return [];
  try {
    return possible(
      infer(
        op,
        op.operands.map((v) => v && known(v, constants)),
      ),
    );
  } catch (e) {
    if (!(e instanceof ShapeError)) throw e;
    const types = op.operands.map((v) => (v ? showType(v.type) : "absent")).join(", ");
    const at = { kind: "node", model: module.name, nodes: op.origin } as const;
    const hint = "the model contradicts itself, or a dimension given with --dim does not suit it";
    return fail(e.code ?? "A150", `${shortName(op)}(${types}): ${e.message}`, at, e.hint ?? hint);
  }
}

const shortName = (op: Op): string => op.kind.slice(op.kind.lastIndexOf(".") + 1);

/** Values go along where they may decide a shape: integers, and few floats. */
function known(v: Value, constants: State["constants"]): Known {
  const length = isStatic(v.type) ? sizeOf(v.type.shape) : Number.POSITIVE_INFINITY;
  const decides = length <= (isFloat(v.type.elem) ? SCALES : SHAPE_LENGTH);
  const load = decides ? constants.get(v) : undefined;
  return load ? { type: v.type, value: load() } : { type: v.type };
}

/** The operation with its results' types as inferred; a dimension that is not keeps what it said. */
function retyped(op: Op, types: readonly TensorType[]): Op {
  const results = op.results.map((v, i) => {
    const type = types[i];
    const better = type && refined(type, v.type);
    return !better || showType(better) === showType(v.type) ? v : { ...v, type: better };
  });
  return { ...op, results };
}

function refined(type: TensorType, written: TensorType): TensorType {
  if (type.shape.length !== written.shape.length) return type;
  return { ...type, shape: type.shape.map((d, i) => d ?? written.shape[i] ?? null) };
}
