/**
 * A lowered module in parts that run one after the other: where a result decides which vectors tiles get, the next part
 * begins, so that noise is drawn only for these.
 */

import type { Module, Op, Port, Value } from "../ir/op.ts";

/** The name by which parts give a value to those behind them. */
export const nameBetween = ({ id }: Value): string => `between.${id}`;

/** `waits` has the inputs of the module that need a result, by their identifiers. */
export function partsOf(module: Module, waits: ReadonlyMap<string, Value>): readonly Module[] {
  const parts = cut(module.ops, waits);
  if (parts.length === 1) return [module];
  const constants = new Map<Value, Op>(
    module.ops
      .filter(({ kind }) => kind === "onnx.Constant")
      .flatMap((op) => op.results.map((v) => [v, op] as const)),
  );
  return parts.map((own, p) => {
    const ops = own.filter(({ kind }) => kind !== "onnx.Constant");
    const made = new Set(ops.flatMap(({ results }) => results));
    const used = operandsOf(ops);
    const later = operandsOf(parts.slice(p + 1).flat());
    const outside = [...used].filter((v) => !made.has(v));
    const given = module.inputs.filter(({ value }) => used.has(value));
    const ports = new Set(module.inputs.map(({ value }) => value));
    const before = outside.filter((v) => !constants.has(v) && !ports.has(v));
    const behind = [...made].filter((v) => later.has(v));
    return {
      ...module,
      inputs: [...given, ...before.map(portBetween)],
      outputs: [...behind.map(portBetween), ...outputsOf(module, made, p === parts.length - 1)],
      ops: [...new Set(outside.flatMap((v) => constants.get(v) ?? [])), ...ops],
    };
  });
}

/** Begins a part where noise waits for what was found in the one before. */
function cut(ops: readonly Op[], waits: ReadonlyMap<string, Value>): readonly (readonly Op[])[] {
  const parts: Op[][] = [[]];
  let found = new Set<Value>();
  for (const op of ops) {
    const needed = op.operands.map((v) => (v ? waits.get(v.id) : undefined));
    if (needed.some((v) => v && found.has(v))) {
      parts.push([]);
      found = new Set();
    }
    parts.at(-1)?.push(op);
    for (const v of op.results) found.add(v);
  }
  return parts;
}

const operandsOf = (ops: readonly Op[]): ReadonlySet<Value> =>
  new Set(ops.flatMap(({ operands }) => operands.filter((v) => v !== null)));

const portBetween = (value: Value): Port => ({ name: nameBetween(value), value });

/** Outputs of the model that a part makes; the last gives those that no operation makes, too. */
function outputsOf(
  { ops, outputs }: Module,
  made: ReadonlySet<Value>,
  isLast: boolean,
): readonly Port[] {
  const all = new Set(
    ops.filter(({ kind }) => kind !== "onnx.Constant").flatMap(({ results }) => results),
  );
  return outputs.filter(({ value }) => made.has(value) || (isLast && !all.has(value)));
}
