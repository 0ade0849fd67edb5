/** One fused operation on random operands: written out, it must give ONNX Runtime's answer. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { PIPELINE } from "../../passes/pipeline.ts";
import { differenceOf } from "../../src/compare/difference.ts";
import { runPasses, type Step } from "../../src/driver/run-passes.ts";
import type { Attrs } from "../../src/ir/op.ts";
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
  if (Array.isArray(value)) return { name, type: KIND.INTS, ints: value.map(Number) };
  const kind = defOf(`onnx.${op}`).attrs[name]?.kind;
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

export async function outcomeOf(example: Example): Promise<Outcome> {
  const path = fileOf(example);
  const free = example.inputs.map((t, i) => [`x${i}`, t] as const);
  const feeds = new Map(
    free.flatMap(([id, t], i) => (t && !example.constants?.includes(i) ? [[id, t] as const] : [])),
  );
  const expected = await runModel(path, feeds, undefined, { optimisation: "disabled" });
  const { module: source, store } = readModel(path, { dims: {} });
  let error = 0;
  let expanded: readonly string[] = [];
  const remarks: string[] = [];
  const surroundings = {
    target: loadTarget("ahwa-lora"),
    options: {
      policy: loadPolicy("default"),
      lora: { kind: "none" },
      seed: 0,
      tokens: "auto",
    },
    weights: store,
    observe: async () => new Map(),
  } as const;
  const check = async ({ pass, after, remarks: said }: Step) => {
    if (pass.name === "expand-fused") {
      expanded = after.ops.map((op) => op.kind);
      remarks.push(...said.map((r) => r.text));
    }
    if (pass.name !== "expand-fused" && pass.name !== "raise-roles") return;
    const actual = await runModel(exportModule(after, store), feeds, undefined, {
      optimisation: "disabled",
    });
    for (const [name, value] of expected) {
      error = Math.max(error, differenceOf(actual.get(name), value).relative);
    }
  };
  const raised = await runPasses(source, FRONT, surroundings, check);
  return { error, expanded, raised: raised.ops.map((op) => op.kind), remarks };
}

const TOLERANCE = 1e-4;

/** A test that a fused operation, written out, gives the same answer for everything `make` draws. */
export function expands(name: string, make: (draw: Draw) => Example, runs = 15): void {
  test(name, async () => {
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (gen) => {
        const draw: Draw = (arbitrary) => gen(() => arbitrary);
        const example = make(draw);
        const { error, expanded, remarks } = await outcomeOf(example);
        expect(remarks).toEqual([]);
        expect(expanded).not.toContain(`onnx.${example.op}`);
        expect(error).toBeLessThanOrEqual(TOLERANCE);
      }),
      { numRuns: runs, seed: 7, interruptAfterTimeLimit: 30_000, endOnFailure: true },
    );
  });
}
