/** Changes that keep a module's meaning, as other exporters and optimisers would have written it. */

import type { Attrs, Module, Op, Value } from "../../src/ir/op.ts";
import { isTensorAttr } from "../../src/ir/op.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { type Pen, REWRITES } from "./rewrites.ts";

/** Uniform in [0, 1), the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const [DOUBLE, FLOAT] = [11, 1];

class Perturbation implements Pen {
  private readonly random: () => number;
  private readonly producers = new Map<Value, Op>();
  private readonly readers = new Map<Value, number>();
  private budget: number;
  private count = 0;
  private ops: Op[] = [];

  constructor(random: () => number, budget: number) {
    this.random = random;
    this.budget = budget;
  }

  of(module: Module): Module {
    const read = [
      ...module.ops.flatMap((op) => op.operands),
      ...module.outputs.map((p) => p.value),
    ];
    for (const v of read) if (v) this.readers.set(v, this.uses(v) + 1);
    for (const op of module.ops) {
      const operands = op.operands.map((v) => (v ? this.detour(v, op) : v));
      this.push(this.rewritten({ ...op, operands }));
    }
    return { ...module, ops: this.ops };
  }

  define(kind: string, operands: readonly Value[], type: Value["type"], attrs: Attrs = {}): Value {
    const value: Value = { id: `perturbed_${this.count++}`, type };
    const [kinds, results, origin] = [`onnx.${kind}`, [value], [value.id]];
    this.push({ kind: kinds, operands, results, attrs, origin });
    return value;
  }

  constant(value: Tensor): Value {
    return this.define("Constant", [], { elem: value.elem, shape: value.shape }, { value });
  }

  valueOf(v: Value | null | undefined): Tensor | undefined {
    const value = this.producer(v)?.attrs["value"];
    return isTensorAttr(value) ? value : undefined;
  }

  producer(v: Value | null | undefined): Op | undefined {
    return v ? this.producers.get(v) : undefined;
  }

  uses(v: Value): number {
    return this.readers.get(v) ?? 0;
  }

  private push(op: Op): void {
    for (const r of op.results) this.producers.set(r, op);
    this.ops.push(op);
  }

  private chance(p: number): boolean {
    return this.budget > 0 && this.random() < p;
  }

  /** The same numbers by a way that leads nowhere. */
  private detour(v: Value, op: Op): Value {
    const known = v.type.shape.every((d) => d !== null && d > 0);
    const isData = v.type.elem === "f32" && known && this.producer(v)?.kind !== "onnx.Constant";
    if (!isData || op.kind === "onnx.Constant" || !this.chance(0.15)) return v;
    this.budget--;
    const { shape } = v.type;
    switch (Math.floor(this.random() * 4)) {
      case 0:
        return this.define("Identity", [v], v.type);
      case 1: {
        const wide = this.define("Cast", [v], { elem: "f64", shape }, { to: DOUBLE });
        return this.define("Cast", [wide], v.type, { to: FLOAT });
      }
      case 2: {
        const perm = shape.map((_, i) => shape.length - 1 - i);
        const turned = { elem: v.type.elem, shape: shape.toReversed() };
        return this.define("Transpose", [this.define("Transpose", [v], turned, { perm })], v.type, {
          perm,
        });
      }
      default: {
        const ints = (values: readonly number[]) =>
          this.constant(fromNumbers("i64", [values.length], values));
        const size = shape.reduce<number>((n, d) => n * Number(d), 1);
        const flat = this.define("Reshape", [v, ints([size])], {
          elem: v.type.elem,
          shape: [size],
        });
        return this.define("Reshape", [flat, ints(shape.map(Number))], v.type);
      }
    }
  }

  /** The same operation written otherwise, maybe more than once. */
  private rewritten(op: Op): Op {
    if (!this.chance(0.4)) return op;
    const left = [...REWRITES];
    while (left.length > 0) {
      const [rule] = left.splice(Math.floor(this.random() * left.length), 1);
      const other = rule?.(op, this);
      if (!other) continue;
      this.budget--;
      return this.rewritten(other);
    }
    return op;
  }
}

/**
 * Types must be inferred; operations of a typed module keep their meaning and their order. At most `budget`
 * changes are made, so that a failing case can be made small.
 */
export const perturbed = (
  module: Module,
  seed: number,
  budget = Number.POSITIVE_INFINITY,
): Module => new Perturbation(randomOf(seed), budget).of(module);
