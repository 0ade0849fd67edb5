/** Inferred types are those of the outputs that real models recorded. */

import { describe, expect, test } from "vitest";
import { inferShapes } from "../../passes/infer-shapes.ts";
import { InputError } from "../../src/diag/diagnostic.ts";
import type { Module, Op, Value } from "../../src/ir/op.ts";
import { verify } from "../../src/ir/verify.ts";
import { showType } from "../../src/tensor/tensor.ts";
import { apply, CASES, prepared, readCorpus } from "./onnx-models.ts";

describe("real models", () => {
  test.each(CASES)("%s: outputs have the recorded types", (name) => {
    const example = readCorpus(name);
    const { typed, folded, simple } = prepared(example);
    expect(example.sample.outputs.size).toBeGreaterThan(0);
    for (const module of [typed, folded, simple]) {
      expect([...verify(module)]).toEqual([]);
      for (const [i, { name: port, value }] of module.outputs.entries()) {
        const expected = example.sample.outputs.get(port);
        if (expected) expect(showType(value.type), `output ${i}`).toBe(showType(expected));
      }
    }
  });
});

test("an impossible shape names the node", () => {
  const value = (id: string, shape: number[]): Value => ({ id, type: { elem: "f32", shape } });
  const [a, b, y] = [value("a", [2, 3]), value("b", [4, 5]), value("y", [2, 5])];
  const product: Op = {
    kind: "onnx.MatMul",
    operands: [a, b],
    results: [y],
    attrs: {},
    origin: ["/layer.0/MatMul"],
  };
  const module: Module = {
    level: "onnx",
    name: "model.onnx",
    inputs: [
      { name: "a", value: a },
      { name: "b", value: b },
    ],
    outputs: [{ name: "y", value: y }],
    ops: [product],
  };
  const store = { load: () => expect.fail(), add: () => expect.fail(), has: () => false };
  expect(() => apply(inferShapes, module, store)).toThrow(InputError);
  expect(() => apply(inferShapes, module, store)).toThrow(
    /A150.*MatMul\(2x3xf32, 4x5xf32\).*3 is not 4[\s\S]*\/layer\.0\/MatMul/,
  );
});
