/** A textual module: its level, its ports, its operations by kind. */

import type { Module } from "../../ir/op.ts";
import { showType } from "../../tensor/tensor.ts";
import { table } from "../terminal.ts";

export function moduleFacts(module: Module) {
  const kinds = new Map<string, number>();
  for (const op of module.ops) kinds.set(op.kind, (kinds.get(op.kind) ?? 0) + 1);
  const port = (p: Module["inputs"][number]) => ({ name: p.name, type: showType(p.value.type) });
  return {
    name: module.name,
    level: module.level,
    inputs: module.inputs.map(port),
    outputs: module.outputs.map(port),
    operations: module.ops.length,
    kinds: Object.fromEntries(kinds),
  };
}

export function describeModule(module: Module): string {
  const facts = moduleFacts(module);
  const kinds = Object.entries(facts.kinds).sort(([, a], [, b]) => b - a);
  return [
    `${facts.name}: level ${facts.level}, ${facts.operations} operations`,
    table([
      ...facts.inputs.map((p) => ["in", p.name, p.type]),
      ...facts.outputs.map((p) => ["out", p.name, p.type]),
    ]),
    "",
    table(
      kinds.map(([kind, n]) => [kind, String(n)]),
      ["left", "right"],
    ),
  ].join("\n");
}
