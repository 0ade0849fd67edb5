/** Folding and simplifying leave nothing to fold, and the same answer. */

import { describe, expect, test } from "vitest";
import { keepsValues } from "../../passes/simplify/rules.ts";
import { simplify } from "../../passes/simplify.ts";
import { differenceOf } from "../../src/compare/difference.ts";
import type { Attrs, Module, Op, Value } from "../../src/ir/op.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { runModel } from "../../src/reference/run.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { kernelOf } from "../../src/tensor/kernels/index.ts";
import { ELEMS, type Elem, isFloat, type Tensor } from "../../src/tensor/tensor.ts";
import { apply, CASES, prepared, readCorpus } from "./onnx-models.ts";

/** Both relative to the largest absolute value of an output. */
const TOLERANCE = {
  /** Between PyTorch's eager mode and ONNX Runtime: MobileBERT's own file is off by 2.5e-4. */
  recorded: 1e-3,
  /** Between two graphs on ONNX Runtime, node by node: folding adds no rounding of its own. */
  original: 1e-6,
};

describe("real models", () => {
  test.each(CASES)("%s", async (name) => {
    const example = readCorpus(name);
    const { folded, simple } = prepared(example);
    const constants = new Set(
      folded.ops.filter((op) => op.kind === "onnx.Constant").flatMap((op) => op.results),
    );
    // What unpacks weights stays: its integers are what a tile holds.
    const computed = folded.ops.filter(
      (op) => op.kind !== "onnx.Constant" && op.kind !== "onnx.DequantizeLinear",
    );
    const foldable = computed.filter((op) => op.operands.every((v) => !v || constants.has(v)));
    expect(foldable.map((op) => op.kind)).toEqual([]);
    const { inputs, outputs } = example.sample;
    const run = (model: string | Uint8Array) =>
      runModel(model, inputs, undefined, { optimisation: "disabled" });
    const original = await run(example.path);
    for (const module of [folded, simple]) {
      const answer = await run(exportModule(module, example.store));
      for (const [port, recorded] of outputs) {
        const [found, expected] = [answer.get(port), original.get(port)];
        if (!expected) return expect.fail(port);
        expect(differenceOf(found, expected).relative, port).toBeLessThan(TOLERANCE.original);
        expect(differenceOf(found, recorded).relative, port).toBeLessThan(TOLERANCE.recorded);
      }
    }
  });
});

const value = (id: string, elem: Elem, shape: number[]): Value => ({ id, type: { elem, shape } });

const op = (name: string, operands: Value[], results: Value[], attrs: Attrs = {}): Op => ({
  kind: `onnx.${name}`,
  operands,
  results,
  attrs,
  origin: [results[0]?.id ?? ""],
});

const constant = (v: Value, numbers: number[]): Op =>
  op("Constant", [], [v], { value: fromNumbers(v.type.elem, v.type.shape as number[], numbers) });

const noStore = { load: () => expect.fail(), add: () => expect.fail(), has: () => false };

function simplified(x: Value, ops: readonly Op[], y: Value): readonly Op[] {
  const module: Module = {
    level: "onnx",
    name: "test",
    inputs: [{ name: "x", value: x }],
    outputs: [{ name: "y", value: y }],
    ops,
  };
  return apply(simplify, module, noStore).ops;
}

describe("simplify", () => {
  const x = value("x", "f32", [2, 3, 4]);
  const y = value("y", "f32", [2, 3, 4]);

  test("joins transposes and drops what they cancel", () => {
    const a = value("a", "f32", [4, 2, 3]);
    const b = value("b", "f32", [2, 3, 4]);
    const ops = [
      op("Transpose", [x], [a], { perm: [2, 0, 1] }),
      op("Transpose", [a], [b], { perm: [1, 2, 0] }),
      op("Relu", [b], [y]),
    ];
    expect(simplified(x, ops, y)).toEqual([op("Relu", [x], [y])]);
  });

  test("joins reshapes and remembers both nodes", () => {
    const shape = value("s", "i64", [1]);
    const axes = value("axes", "i64", [1]);
    const a = value("a", "f32", [24]);
    const row = value("row", "f32", [1, 24]);
    const result = value("y", "f32", [1, 24]);
    const ops = [
      constant(shape, [-1]),
      constant(axes, [0]),
      op("Reshape", [x, shape], [a]),
      op("Unsqueeze", [a, axes], [row]),
      op("Relu", [row], [result]),
    ];
    const [target, reshape, relu] = simplified(x, ops, result);
    expect(toNumbers(target?.attrs["value"] as Tensor)).toEqual([1, 24]);
    expect(reshape?.kind).toBe("onnx.Reshape");
    expect(reshape?.operands[0]).toBe(x);
    expect(reshape?.origin).toEqual(["a", "row"]);
    expect(relu?.operands).toEqual([row]);
  });

  test("drops a slice of everything but keeps one that reverses", () => {
    const [starts, ends, axes, steps] = ["s", "e", "a", "t"].map((id) => value(id, "i64", [1]));
    if (!starts || !ends || !axes || !steps) return expect.fail();
    const cut = value("cut", "f32", [2, 3, 4]);
    const slice = (from: number, to: number, step: number) => [
      constant(starts, [from]),
      constant(ends, [to]),
      constant(axes, [1]),
      constant(steps, [step]),
      op("Slice", [x, starts, ends, axes, steps], [cut]),
      op("Relu", [cut], [y]),
    ];
    expect(simplified(x, slice(0, 2 ** 53, 1), y)).toHaveLength(1);
    expect(simplified(x, slice(-1, -(2 ** 53), -1), y)).toHaveLength(6);
  });

  test("keeps an operation that defines an output", () => {
    const ops = [op("Identity", [x], [y])];
    expect(simplified(x, ops, y)).toEqual(ops);
  });

  test.each(ELEMS.flatMap((from) => ELEMS.map((to) => [from, to] as const)))(
    "a cast from %s to %s and back is dropped only where it loses nothing",
    (from, to) => {
      if (!keepsValues(from, to)) return;
      const cast = kernelOf("onnx.Cast");
      const numbers = EXTREMES[from] ?? [0, 1];
      const original = fromNumbers(from, [numbers.length], numbers);
      const through = (t: Tensor, elem: Elem) =>
        cast?.({ inputs: [t], attrs: { to: CODES[elem] }, outShapes: null })[0];
      const there = through(original, to);
      expect(there && through(there, from)).toEqual(original);
    },
  );

  test("a cast that loses something is not called harmless", () => {
    expect(keepsValues("f32", "f16")).toBe(false);
    expect(keepsValues("i64", "f32")).toBe(false);
    expect(keepsValues("i32", "f32")).toBe(false);
    expect(keepsValues("i8", "ui8")).toBe(false);
    expect(keepsValues("f16", "bf16")).toBe(false);
    expect(ELEMS.filter((e) => isFloat(e) && keepsValues(e, "i64"))).toEqual([]);
  });
});

/** ONNX's numbers of the element types (TensorProto.DataType). */
const CODES: Readonly<Record<Elem, number>> = {
  f32: 1,
  ui8: 2,
  i8: 3,
  ui16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  i1: 9,
  f16: 10,
  f64: 11,
  ui32: 12,
  ui64: 13,
  bf16: 16,
  ui4: 21,
  i4: 22,
};

/** Values that a type holds and a smaller one does not. */
const EXTREMES: Readonly<Partial<Record<Elem, readonly number[]>>> = {
  ui4: [0, 15],
  i4: [-8, 7],
  ui8: [0, 255],
  ui16: [0, 65535],
  ui32: [0, 2 ** 32 - 1],
  i8: [-128, 127],
  i16: [-32768, 32767],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  i64: [-(2 ** 53), 2 ** 53],
  f16: [-65504, 2 ** -24, 1 + 2 ** -10],
  bf16: [2 ** 120, 1 + 2 ** -7],
  f32: [2 ** 127, 2 ** -126, 1 + 2 ** -23],
};
