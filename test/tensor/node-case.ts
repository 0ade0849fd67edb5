/** Reading ONNX's single-operator conformance tests, and running them in the ways that we have. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { foldConstants } from "../../passes/fold-constants.ts";
import { inferShapes } from "../../passes/infer-shapes.ts";
import type { Module } from "../../src/ir/op.ts";
import { decodeModel, type ModelProto, onnx, type TensorProto } from "../../src/onnx/proto.ts";
import { readModel } from "../../src/onnx/read.ts";
import { tensorOf } from "../../src/onnx/tensor-proto.ts";
import type { Artifact } from "../../src/sim/load.ts";
import { loadTarget } from "../../src/target/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { interpret } from "./interpret.ts";
import { compiled, onMachine } from "./on-machine.ts";

export interface NodeCase {
  readonly model: ModelProto;
  /** As messages, since some of them become part of the model. */
  readonly inputs: ReadonlyMap<string, TensorProto>;
  readonly outputs: ReadonlyMap<string, Tensor>;
}

type Results = ReadonlyMap<string, Tensor>;

export interface CompiledCase {
  readonly artifact: Artifact;
  readonly inputs: Results;
}

export function readCase(folder: string): NodeCase {
  const path = `${folder}/model.onnx`;
  const model = decodeModel(readFileSync(path), path);
  const data = `${folder}/test_data_set_0`;
  const files = new Set(readdirSync(data));
  const messages = (kind: string, ports: readonly { name?: string | null }[] | null | undefined) =>
    new Map(
      (ports ?? []).flatMap(({ name }, i) => {
        const file = `${kind}_${i}.pb`;
        const read = () => onnx.TensorProto.decode(readFileSync(`${data}/${file}`));
        return files.has(file) ? [[name ?? "", read()] as const] : [];
      }),
    );
  const outputs = [...messages("output", model.graph?.output)];
  return {
    model,
    inputs: messages("input", model.graph?.input),
    outputs: new Map(outputs.map(([name, t]) => [name, tensorOf(t, folder)])),
  };
}

const root = mkdtempSync(join(tmpdir(), "aimcc-node-case-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let written = 0;

/** The model in a file; its inputs bound are initializers, so that everything follows from constants. */
function write({ model, inputs }: NodeCase, bound: boolean): string {
  const path = join(root, `model-${written++}.onnx`);
  const constants = [...inputs].map(([name, t]) => onnx.TensorProto.create({ ...t, name }));
  const initializer = [...(model.graph?.initializer ?? []), ...constants];
  const graph = bound ? { ...model.graph, input: [], initializer } : { ...model.graph };
  writeFileSync(path, onnx.ModelProto.encode({ ...model, graph }).finish());
  return path;
}

const surroundings = (weights: WeightStore) => ({
  weights,
  target: loadTarget("ahwa-lora"),
  options: {
    policy: loadPolicy("default"),
    lora: { kind: "none" },
    seed: 0,
    tokens: "auto",
  } as const,
  observe: () => Promise.reject(new Error("nothing is calibrated")),
  report: () => undefined,
  remark: () => undefined,
});

export interface Folded {
  readonly outputs: Results;
  /** Kinds of the operations that are left. */
  readonly left: ReadonlySet<string>;
}

/** All inputs bound, so that reading, inference and folding alone give the answer. */
export async function foldCase(example: NodeCase): Promise<Folded> {
  const { module, store } = readModel(write(example, true), { dims: {} });
  const around = surroundings(store);
  const typed: Module = await inferShapes.run(module, around);
  const folded: Module = await foldConstants.run(typed, around);
  const values = interpret(folded, store, new Map());
  return {
    outputs: new Map(folded.outputs.map((o) => [o.name, values.get(o.value) as Tensor])),
    left: new Set(folded.ops.map((op) => op.kind)),
  };
}

const inputsOf = ({ inputs }: NodeCase): Results =>
  new Map([...inputs].map(([name, t]) => [name, tensorOf(t, name)] as const));

/** Through the compiler and the simulator. */
export const simulateCase = (example: NodeCase): Promise<Results> =>
  onMachine(write(example, false), inputsOf(example));

/** What the compiler makes of it, and what it is to be run on. */
export async function compileCase(example: NodeCase): Promise<CompiledCase> {
  const inputs = inputsOf(example);
  return { artifact: await compiled(write(example, false), inputs), inputs };
}
