/** Finds what a user means: a weight by any of its names, a node of the ONNX file, a place in the machine. */

import type { MappedWeight, Mapping } from "../artifact/mapping.ts";
import type { Schedule, Step } from "../artifact/schedule.ts";
import { fail } from "../diag/diagnostic.ts";
import { byDistance } from "../diag/nearest.ts";

/**
 * The weights that a name means: exactly a weight, an initializer or a module; else every one that has
 * it as the end or the beginning of a dotted path (a block of the network means all weights inside).
 * Errors: A440 when there is none.
 */
export function findWeights(mapping: Mapping, name: string): MappedWeight[] {
  const named = (w: MappedWeight) => [w.name, w.initializer, w.module];
  const tests: ((text: string) => boolean)[] = [
    (text) => text === name,
    (text) => text.endsWith(`.${name}`) || text === `${name}.weight`,
    (text) => text.endsWith(`.${name}.weight`),
    (text) => text.startsWith(`${name}.`) || text.includes(`.${name}.`),
  ];
  for (const test of tests) {
    const found = mapping.weights.filter((w) => named(w).some(test));
    if (found.length > 0) return found;
  }
  const digital = mapping.digital.find((d) => d.module === name || d.module.endsWith(`.${name}`));
  if (digital) {
    const text = `'${name}' is on no tile: it stays digital (${digital.why})`;
    return fail("A440", text, { kind: "command" }, "a policy file can put a linear layer on tiles");
  }
  return unknown(
    "weight",
    name,
    mapping.weights.flatMap((w) => [w.module, w.name]).filter((n) => n !== ""),
  );
}

/** The steps that came from an ONNX node. Errors: A440 when there is none. */
export function findNode(schedule: Schedule, name: string): Step[] {
  const found = schedule.steps.filter((s) => s.nodes.includes(name));
  if (found.length > 0) return found;
  return unknown("ONNX node", name, [...new Set(schedule.steps.flatMap((s) => s.nodes))]);
}

function unknown(what: string, name: string, known: readonly string[]): never {
  const near = byDistance(name, [...new Set(known)]).slice(0, 3);
  const hint = near.length > 0 ? `did you mean ${near.join(" or ")}?` : `there is no ${what} here`;
  fail("A440", `no ${what} is called '${name}'`, { kind: "command" }, hint);
}
