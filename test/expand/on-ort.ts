/** One fused operation on random operands: written out, it must give ONNX Runtime's answer. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { PIPELINE } from "../../passes/pipeline.ts";
import { differenceOf } from "../../src/compare/difference.ts";
import { runPasses, type Step } from "../../src/driver/run-passes.ts";
import type { Attrs, Module } from "../../src/ir/op.ts";
import { defOf } from "../../src/ir/registry.ts";
import { codeOf } from "../../src/onnx/elem.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { type AttributeProto, onnx } from "../../src/onnx/proto.ts";
import { readModel } from "../../src/onnx/read.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { runModel } from "../../src/reference/run.ts";
import { loadTarget } from "../../src/target/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import type { Elem, Tensor } from "../../src/tensor/tensor.ts";
import { folder } from "../onnx/small-model.ts";
import type { Draw } from "../tensor/on-ort.ts";

export interface Example {
  /** The operator, after its domain and a dot where that is not the default one. */
  readonly op: string;
  readonly inputs: readonly (Tensor | null)[];
  readonly attrs?: Attrs;
  /** Positions of inputs that are initializers. */
  readonly constants?: readonly number[];
  /** The results that are asked for; the first unless told. Others stay unnamed. */
  readonly results?: readonly number[];
  readonly elems?: readonly Elem[];
  readonly opset?: number;
}

const KIND = onnx.AttributeProto.AttributeType;

/** ONNX's numbers look alike in JavaScript; the operation's record says which of them is meant. */
function attribute(op: string, name: string, value: Attrs[string]): AttributeProto {
  if (typeof value === "string") return { name, type: KIND.STRING, s: Buffer.from(value) };
  const kind = defOf(`onnx.${op}`).attrs[name]?.kind;
  if (Array.isArray(value)) {
    const numbers = value.map(Number);
    return kind === "floats"
      ? { name, type: KIND.FLOATS, floats: numbers }
      : { name, type: KIND.INTS, ints: numbers };
  }
  return kind === "float"
    ? { name, type: KIND.FLOAT, f: Number(value) }
    : { name, type: KIND.INT, i: Number(value) };
}

/** The operation as an ONNX file. */
export function fileOf(example: Example): string {
  const { inputs, attrs = {}, constants = [], results = [0], elems = [] } = example;
  const dot = example.op.lastIndexOf(".");
  const name = (i: number) => `x${i}`;
  const given = inputs.map((t, i) => ({ t, i })).filter(({ t }) => t !== null);
  const free = given.filter(({ i }) => !constants.includes(i));
  const port = (id: string, elem: Elem, shape?: readonly number[]) => ({
    name: id,
    type: {
      tensorType: {
        elemType: codeOf(elem),
        ...(shape ? { shape: { dim: shape.map((d) => ({ dimValue: d })) } } : {}),
      },
    },
  });
  const count = Math.max(...results) + 1;
  const outputs = Array.from({ length: count }, (_, i) => (results.includes(i) ? `y${i}` : ""));
  const bytes = onnx.ModelProto.encode({
    irVersion: 10,
    opsetImport: [
      { domain: "", version: example.opset ?? 23 },
      { domain: "com.microsoft", version: 1 },
    ],
    graph: {
      name: "one",
      input: free.map(({ t, i }) => port(name(i), t?.elem ?? "f32", t?.shape)),
      initializer: given
        .filter(({ i }) => constants.includes(i))
        .flatMap(({ t, i }) => (t ? [toProto(name(i), t)] : [])),
      output: results.map((i) => port(`y${i}`, elems[i] ?? inputs[0]?.elem ?? "f32")),
      node: [
        {
          opType: example.op.slice(dot + 1),
          domain: dot < 0 ? "" : example.op.slice(0, dot),
          name: "fused",
          input: inputs
            .slice(0, inputs.findLastIndex((t) => t !== null) + 1)
            .map((t, i) => (t ? name(i) : "")),
          output: outputs,
          attribute: Object.entries(attrs).map(([k, v]) => attribute(example.op, k, v)),
        },
      ],
    },
  }).finish();
  const path = join(folder(), "model.onnx");
  writeFileSync(path, bytes);
  return path;
}

export interface Outcome {
  /** Largest relative difference to ONNX Runtime, over all results. */
  readonly error: number;
  /** Kinds of the operations after expand-fused, and after the raising passes. */
  readonly expanded: readonly string[];
  readonly raised: readonly string[];
  readonly remarks: readonly string[];
}

const FRONT = PIPELINE.slice(0, 2).map((stage) => ({
  ...stage,
  passes: stage.passes.filter((p) => stage.name === "onnx" || p.name.startsWith("raise-")),
}));

/** Runs a file through the passes up to the modules of the network. */
export async function frontOf(path: string) {
  const { module, store } = readModel(path, { dims: {} });
  const surroundings = {
    target: loadTarget("ahwa-lora"),
    options: { policy: loadPolicy("default"), lora: { kind: "none" }, seed: 0, tokens: "auto" },
    weights: store,
    observe: async () => new Map(),
  } as const;
  const steps: Step[] = [];
  const raised = await runPasses(module, FRONT, surroundings, (step) => {
    steps.push(step);
  });
  return { steps, raised, store };
}

const kindsOf = (module: Module): readonly string[] => module.ops.map((op) => op.kind);

/** What becomes of the operation, judged by ONNX Runtime once it is expanded and once it is raised. */
export async function outcomeOf(example: Example): Promise<Outcome> {
  const path = fileOf(example);
  const given = example.inputs.map((t, i) => ({ t, i, id: `x${i}` }));
  const free = given.filter(({ i }) => !example.constants?.includes(i));
  const feeds = new Map(free.flatMap(({ t, id }) => (t ? [[id, t] as const] : [])));
  const options = { optimisation: "disabled" } as const;
  const expected = await runModel(path, feeds, undefined, options);
  const { steps, raised, store } = await frontOf(path);
  const step = steps.find(({ pass }) => pass.name === "expand-fused");
  if (!step) throw new Error("the pipeline has no expand-fused");
  const errors: number[] = [];
  for (const module of [step.after, raised]) {
    const actual = await runModel(exportModule(module, store), feeds, undefined, options);
    for (const [name, value] of expected) {
      errors.push(differenceOf(actual.get(name), value).relative);
    }
  }
  return {
    error: Math.max(...errors),
    expanded: kindsOf(step.after),
    raised: kindsOf(raised),
    remarks: step.remarks.map((r) => r.text),
  };
}

const TOLERANCE = 1e-4;

/** A test that a fused operation, written out, gives the same answer for everything `make` draws. */
export function expands(name: string, make: (draw: Draw) => Example, runs = 15): void {
  test(name, async () => {
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (gen) => {
        const draw: Draw = (arbitrary) => gen(() => arbitrary);
        const example = make(draw);
        const { error, raised, remarks } = await outcomeOf(example);
        // What is taken for granted of lengths holds for the examples.
        expect(remarks.filter((text) => !text.includes(" takes it that "))).toEqual([]);
        expect(raised).not.toContain(`onnx.${example.op}`);
        expect(error).toBeLessThanOrEqual(TOLERANCE);
      }),
      { numRuns: runs, seed: 7, interruptAfterTimeLimit: 30_000, endOnFailure: true },
    );
  });
}
