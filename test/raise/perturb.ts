/** Changes that keep a module's meaning, as other exporters and optimisers would have written it. */

import type { Attrs, Module, Op, Value } from "../../src/ir/op.ts";
import { isTensorAttr } from "../../src/ir/op.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

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

class Perturbation {
  private readonly random: () => number;
  private readonly constants = new Map<Value, Tensor>();
  private count = 0;
  private ops: Op[] = [];

  constructor(random: () => number) {
    this.random = random;
  }

  of(module: Module): Module {
    for (const op of module.ops) {
      const { value } = op.attrs;
      const [result] = op.results;
      if (op.kind === "onnx.Constant" && result && isTensorAttr(value)) {
        this.constants.set(result, value);
      }
      const operands = op.operands.map((v) => (v ? this.detour(v, op) : v));
      this.ops.push(this.rewritten({ ...op, operands }));
    }
    return { ...module, ops: this.ops };
  }

  private chance(p: number): boolean {
    return this.random() < p;
  }

  private define(kind: string, operands: readonly Value[], type: Value["type"], attrs: Attrs = {}) {
    const value: Value = { id: `perturbed_${this.count++}`, type };
    this.ops.push({ kind: `onnx.${kind}`, operands, results: [value], attrs, origin: [value.id] });
    return value;
  }

  private constant(value: Tensor): Value {
    return this.define("Constant", [], { elem: value.elem, shape: value.shape }, { value });
  }

  /** The same numbers by a way that leads nowhere. */
  private detour(v: Value, op: Op): Value {
    const known = v.type.shape.every((d) => d !== null && d > 0);
    const isData = v.type.elem === "f32" && known && !this.constants.has(v);
    if (!isData || op.kind === "onnx.Constant" || !this.chance(0.15)) return v;
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

  /** The same operation written otherwise. */
  private rewritten(op: Op): Op {
    const [a, b] = op.operands;
    if (!a || !b) return op;
    const by = this.constants.get(b);
    const number = by?.data.length === 1 ? toNumbers(by)[0] : undefined;
    if ((op.kind === "onnx.Add" || op.kind === "onnx.Mul") && this.chance(0.5)) {
      return { ...op, operands: [b, a] };
    }
    if (op.kind === "onnx.Div" && by && number && by.elem === "f32" && this.chance(0.5)) {
      const inverse = this.constant(fromNumbers("f32", by.shape, [1 / number]));
      return { ...op, kind: "onnx.Mul", operands: this.chance(0.5) ? [a, inverse] : [inverse, a] };
    }
    if (op.kind === "onnx.Pow" && number === 2 && this.chance(0.5)) {
      return { ...op, kind: "onnx.Mul", operands: [a, a] };
    }
    if (op.kind === "onnx.Sub" && by?.elem === "f32" && this.chance(0.5)) {
      const minus = this.constant(
        fromNumbers(
          "f32",
          by.shape,
          toNumbers(by).map((n) => -n),
        ),
      );
      return { ...op, kind: "onnx.Add", operands: [minus, a] };
    }
    return op;
  }
}

/** Types must be inferred; operations of a typed module keep their meaning and their order. */
export const perturbed = (module: Module, seed: number): Module =>
  new Perturbation(randomOf(seed)).of(module);
