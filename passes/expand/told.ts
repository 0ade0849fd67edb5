/** What expansions took for granted, told once for all operations that did so. */

import type { Module, Op, Value } from "../../src/ir/op.ts";
import type { Remark } from "../pass.ts";
import type { Assumption } from "./builder.ts";

export class Told {
  private readonly nodes = new Map<string, string[]>();
  private readonly producers: ReadonlyMap<Value, Op>;
  private readonly inputs: ReadonlyMap<Value, string>;

  constructor({ ops, inputs }: Module) {
    this.producers = new Map(ops.flatMap((op) => op.results.map((r) => [r, op] as const)));
    this.inputs = new Map(inputs.map(({ value, name }) => [value, name]));
  }

  of(op: Op, assumptions: readonly Assumption[]): void {
    const name = op.kind.slice("onnx.".length);
    for (const { of, text } of assumptions) {
      const named = this.inputsOf(of).map((input) => `'${input}'`);
      const whatever = named.length === 0 ? "" : `, whatever ${named.join(" and ")} says`;
      const whole = `${name} takes it that ${text}${whatever}`;
      this.nodes.set(whole, [...(this.nodes.get(whole) ?? []), ...op.origin]);
    }
  }

  remarks(): readonly Remark[] {
    return [...this.nodes].map(([text, nodes]) => ({ text, nodes }));
  }

  /** The inputs of the model that a value is computed from. */
  private inputsOf(value: Value): readonly string[] {
    const seen = new Set([value]);
    for (const v of seen) {
      for (const operand of this.producers.get(v)?.operands ?? []) if (operand) seen.add(operand);
    }
    return [...seen].flatMap((v) => this.inputs.get(v) ?? []).toSorted();
  }
}
