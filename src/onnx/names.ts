/** Names of tensors and values that are not taken yet. */

import type { Module, Value } from "../ir/op.ts";

/**
 * A name for each value: the port's for inputs and outputs, else that of the ONNX tensor that it
 * equals, else its id. Names are unique. An output whose value is an input, a constant or another
 * output as well keeps its own name free for the copy that the exporter adds.
 */
export function nameValues(module: Module): ReadonlyMap<Value, string> {
  const names = new Map<Value, string>(module.inputs.map((p) => [p.value, p.name]));
  const taken = new Set([...module.inputs, ...module.outputs].map((p) => p.name));
  const computed = new Set<Value>(
    module.ops.filter((op) => op.kind !== "onnx.Constant").flatMap((op) => op.results),
  );
  for (const { name, value } of module.outputs) {
    if (computed.has(value) && !names.has(value)) names.set(value, name);
  }
  const values = module.ops.flatMap((op) => op.results).filter((v) => !names.has(v));
  for (const v of values.filter((v) => v.tensor !== undefined)) claim(v, v.tensor ?? "");
  for (const v of values.filter((v) => !names.has(v))) names.set(v, free(v.id));
  return names;

  /** Two values may equal one tensor, as before and after an identity: the first gets its name. */
  function claim(v: Value, name: string): void {
    if (taken.has(name)) return;
    taken.add(name);
    names.set(v, name);
  }

  function free(base: string): string {
    let name = base;
    for (let i = 1; taken.has(name); i++) name = `${base}_${i}`;
    taken.add(name);
    return name;
  }
}

/** Names that the file does not use. */
export function namesBeside(original: ReadonlySet<string>): (base: string) => string {
  const taken = new Set(original);
  const numbers = new Map<string, number>();
  return (base) => {
    let name = base;
    let i = numbers.get(base) ?? 1;
    for (; taken.has(name); i++) name = `${base}_${i}`;
    numbers.set(base, i);
    taken.add(name);
    return name;
  };
}
