/**
 * What every pass may rely on:
 * 1. each value is defined once, before its first use, and no two values print alike;
 * 2. each operation is registered, may stand at the module's level, and has as many operands and
 *    results as its record says, optional ones aside;
 * 3. each attribute is in the record (or one of the few that any operation may carry), has its kind,
 *    and none is missing;
 * 4. the record's own rules hold, and its type inference agrees with the types that are written;
 * 5. the module's outputs are defined.
 */

import { showType, type Tensor, type TensorType } from "../tensor/tensor.ts";
import type { AttrKind, Known, OpDef } from "./define.ts";
import { ShapeError } from "./dialects/onnx/shape.ts";
import { type Attr, isTensorAttr, isWeightRef, type Module, type Op, type Value } from "./op.ts";
import { OPS } from "./registry.ts";

export interface Fault {
  readonly op: Op | null;
  readonly text: string;
}

/** Attributes that any operation may carry: where it belongs in the network, where it runs, and why. */
const COMMON: ReadonlyMap<string, AttrKind> = new Map([
  ["module", "string"],
  ["cluster", "int"],
  ["why", "string"],
] as const);

export function* verify(module: Module): Iterable<Fault> {
  const defined = new Map<string, Value>();
  const constants = new Map<Value, Tensor>();
  for (const p of module.inputs) yield* define(null, p.value, defined);
  for (const op of module.ops) {
    for (const text of opFaults(module, op, defined, constants)) {
      yield { op, text: `${op.kind} (%${op.results[0]?.id}): ${text}` };
    }
    for (const r of op.results) yield* define(op, r, defined);
    const value = op.attrs["value"];
    const [result] = op.results;
    if (op.kind === "onnx.Constant" && result && isTensorAttr(value)) constants.set(result, value);
  }
  for (const p of module.outputs) {
    if (defined.get(p.value.id) !== p.value) {
      yield { op: null, text: `output '${p.name}' is not defined` };
    }
  }
}

function* define(op: Op | null, v: Value, defined: Map<string, Value>): Iterable<Fault> {
  if (defined.has(v.id)) yield { op, text: `%${v.id} is defined twice` };
  defined.set(v.id, v);
}

function* opFaults(
  module: Module,
  op: Op,
  defined: ReadonlyMap<string, Value>,
  constants: ReadonlyMap<Value, Tensor>,
): Iterable<string> {
  for (const v of op.operands) {
    if (v && defined.get(v.id) !== v) yield `%${v.id} is not defined yet`;
  }
  const def = OPS.get(op.kind);
  if (!def) return yield "no such operation";
  if (!def.levels.includes(module.level)) yield `does not belong at level ${module.level}`;
  const form = [...formFaults(op, def, COMMON)];
  yield* form;
  if (form.length > 0) return;
  yield* typeFaults(op, def, constants);
}

/**
 * What is wrong with an operation by itself: counts, attributes (`common` ones may stand on any operation)
 * and the rules of its record. Types are another matter.
 */
export function* formFaults(
  op: Op,
  def: OpDef,
  common: ReadonlyMap<string, AttrKind>,
): Iterable<string> {
  const faults = [
    ...arityFaults("operands", def.operands, op.operands),
    ...arityFaults("results", def.results, op.results),
    ...gapFaults(op, def),
    ...attrFaults(op, def, common),
  ];
  yield* faults;
  if (faults.length === 0) yield* def.verify?.(op) ?? [];
}

function* arityFaults(
  what: string,
  names: readonly string[],
  values: readonly (Value | null)[],
): Iterable<string> {
  const rest = names.at(-1)?.endsWith("*") === true;
  const required = names.filter((n) => !/[?*]$/.test(n)).length;
  if (values.length < required || (!rest && values.length > names.length)) {
    const verb = what === "results" ? "gives" : "takes";
    yield `has ${values.length} ${what}, but ${verb} ${names.join(", ") || "none"}`;
  }
  for (const [i, name] of names.entries()) {
    if (values[i] === null && !/[?*]$/.test(name)) yield `lacks '${name}'`;
  }
}

/** ONNX knows no absent operand among those of which any number may be given. */
function* gapFaults(op: Op, def: OpDef): Iterable<string> {
  const from = def.operands.findIndex((name) => name.endsWith("*"));
  if (from < 0 || !def.levels.includes("onnx")) return;
  if (op.operands.slice(from).includes(null)) yield "lacks one of its operands";
}

function* attrFaults(op: Op, def: OpDef, common: ReadonlyMap<string, AttrKind>): Iterable<string> {
  for (const [name, spec] of Object.entries(def.attrs)) {
    if (spec.optional || Object.hasOwn(op.attrs, name)) continue;
    yield `lacks attribute '${name}'`;
  }
  for (const [name, value] of Object.entries(op.attrs)) {
    const own = Object.hasOwn(def.attrs, name) ? def.attrs[name] : undefined;
    const kind = own?.kind ?? common.get(name);
    if (kind === undefined) yield `has no attribute '${name}'`;
    else if (!isOfKind(value, kind)) yield `attribute '${name}' is not of kind ${kind}`;
  }
}

const listOf = (test: (a: Attr) => boolean) => (a: Attr) => Array.isArray(a) && a.every(test);
const isNumber = (a: Attr): boolean => typeof a === "number";
const isString = (a: Attr): boolean => typeof a === "string";

const KIND_TESTS: Readonly<Record<AttrKind, (a: Attr) => boolean>> = {
  int: (a) => Number.isInteger(a),
  float: isNumber,
  string: isString,
  bool: (a) => typeof a === "boolean",
  ints: listOf((a) => Number.isInteger(a)),
  floats: listOf(isNumber),
  strings: listOf(isString),
  tensor: isTensorAttr,
  weight: (a) => isWeightRef(a) || isTensorAttr(a),
  dict: (a) => typeof a === "object" && !Array.isArray(a),
  any: () => true,
};

const isOfKind = (a: Attr, kind: AttrKind): boolean => KIND_TESTS[kind](a);

function* typeFaults(op: Op, def: OpDef, constants: ReadonlyMap<Value, Tensor>): Iterable<string> {
  if (!def.infer) return;
  const known = op.operands.map((v): Known | null => {
    if (v === null) return null;
    const value = constants.get(v);
    return { type: v.type, ...(value && { value }) };
  });
  const inferred = tryInfer(def.infer, op, known);
  if (typeof inferred === "string") return yield inferred;
  for (const [i, r] of op.results.entries()) {
    const type = inferred[i];
    if (type && !agree(type, r.type)) {
      yield `result ${i} is ${showType(r.type)}, but must be ${showType(type)}`;
    }
  }
}

/** Inferred types, or why these operands have none. */
function tryInfer(
  infer: NonNullable<OpDef["infer"]>,
  op: Op,
  known: readonly (Known | null)[],
): readonly TensorType[] | string {
  try {
    return infer(op, known);
  } catch (e) {
    if (e instanceof ShapeError) return e.message;
    throw e;
  }
}

/** Inference may know less than is written, never something else. */
const agree = (inferred: TensorType, written: TensorType): boolean =>
  inferred.elem === written.elem &&
  inferred.shape.length === written.shape.length &&
  inferred.shape.every((d, i) => d === null || written.shape[i] === null || d === written.shape[i]);
