/** Inferred types are those of recorded outputs: ONNX's own operator tests, and real models. */

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { inferShapes } from "../../passes/infer-shapes.ts";
import { InputError } from "../../src/diag/diagnostic.ts";
import type { Known } from "../../src/ir/define.ts";
import type { Module, Op, Value } from "../../src/ir/op.ts";
import { defOf } from "../../src/ir/registry.ts";
import { verify } from "../../src/ir/verify.ts";
import { constantValue } from "../../src/onnx/constants.ts";
import { type GraphNode, kindOf, type TensorFacts } from "../../src/onnx/graph.ts";
import { decodeModel } from "../../src/onnx/proto.ts";
import { upgrade } from "../../src/onnx/upgrade.ts";
import { kernelOf } from "../../src/tensor/kernels/index.ts";
import { showType, type Tensor } from "../../src/tensor/tensor.ts";
import { readCase } from "../tensor/node-case.ts";
import { apply, CASES, prepared, readCorpus } from "./onnx-models.ts";

const NODE_TESTS = "test/onnx-node-tests";

/** Their branches are graphs; what is chosen among them is decided when a file is read. */
const WITH_SUBGRAPHS = new Set(["test_if"]);

/** Results whose size only their operands' elements decide, even when inference knows those. */
const BY_DATA = new Set(["onnx.NonZero"]);

/** Runs nodes in order, holding the inferred type of every result against its value. */
function runTyped(
  nodes: readonly GraphNode[],
  opset: number,
  inputs: ReadonlyMap<string, Tensor>,
): ReadonlyMap<string, Tensor> {
  const values = new Map(inputs);
  const facts: TensorFacts = {
    rank: (name) => values.get(name)?.shape.length,
    elem: (name) => values.get(name)?.elem,
    value: (name) => values.get(name),
    malformed: (text) => expect.fail(text),
  };
  for (const old of nodes) {
    for (const node of upgrade(old, opset, facts, (base) => base)) {
      const results = evaluated(node, values);
      for (const [i, name] of node.outputs.entries()) {
        const result = results[i];
        if (result && name !== "") values.set(name, result);
      }
    }
  }
  return values;
}

function evaluated(node: GraphNode, values: ReadonlyMap<string, Tensor>): readonly Tensor[] {
  const { attrs, outputs } = node;
  if (node.opType === "Constant") return [constantValue(node) as Tensor];
  const kind = kindOf(node);
  const inputs = node.inputs.map((name) => values.get(name) ?? null);
  const types = defOf(kind).infer?.(opOf(node, inputs), inputs.map(known)) ?? [];
  const results = kernelOf(kind)?.({ inputs, attrs, outShapes: null }) ?? [];
  for (const [i, name] of outputs.entries()) {
    const [type, result] = [types[i], results[i]];
    if (name === "") continue;
    if (!type || !result) throw new Error(`${kind} has no result ${i}`);
    if (BY_DATA.has(kind)) expect(type.shape.length).toBe(result.shape.length);
    else expect(showType(type), `${kind} result ${i}`).toBe(showType(result));
    expect(type.elem).toBe(result.elem);
  }
  return results;
}

const known = (value: Tensor | null): Known | null => value && { type: value, value };

const opOf = (node: GraphNode, operands: readonly (Tensor | null)[]): Op => ({
  kind: kindOf(node),
  operands: operands.map((type, i) => type && { id: node.inputs[i] ?? "", type }),
  results: node.outputs.map((id) => ({ id, type: { elem: "f32", shape: [] } })),
  attrs: node.attrs,
  origin: [node.name],
});

function opsetOf(name: string): number {
  const path = `${NODE_TESTS}/${name}/model.onnx`;
  const imports = decodeModel(readFileSync(path), path).opsetImport ?? [];
  return Number(imports.find((o) => !o.domain)?.version);
}

describe("ONNX conformance", () => {
  const names = readdirSync(NODE_TESTS).filter((n) => !WITH_SUBGRAPHS.has(n));
  test.each(names)("%s", (name) => {
    const { nodes, inputs, outputs } = readCase(`${NODE_TESTS}/${name}`);
    const values = runTyped(nodes, opsetOf(name), inputs);
    expect(outputs.size).toBeGreaterThan(0);
    for (const [port, expected] of outputs) {
      const found = values.get(port);
      expect(found && showType(found), port).toBe(showType(expected));
    }
  });
});

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
