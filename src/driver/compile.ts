/** From an ONNX file to a program: reads the model, runs the pipeline, keeps the dumps. */

import type { Options } from "../../passes/options.ts";
import type { PassContext, Remark } from "../../passes/pass.ts";
import { PIPELINE } from "../../passes/pipeline.ts";
import type { CalibratedWeight } from "../artifact/calibration.ts";
import type { Module } from "../ir/op.ts";
import { printModule } from "../ir/print.ts";
import { type ModelInfo, readModel } from "../onnx/read.ts";
import { listTargets, loadTarget } from "../target/load.ts";
import type { Target } from "../target/schema.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { WeightStore } from "../weights/store.ts";
import { observer } from "./observe.ts";
import { runPasses, type Step } from "./run-passes.ts";
import { sameAnswer } from "./same-answer.ts";

/** The graph inputs of one inference, by name. */
export type Sample = ReadonlyMap<string, Tensor>;

export interface CompileRequest {
  readonly model: string;
  readonly target: Target;
  /** Sizes of the model's free dimensions, by name. */
  readonly dims: Readonly<Record<string, number>>;
  /** Inputs that become constants: all values, or one for all. */
  readonly set?: Readonly<Record<string, readonly number[]>>;
  /** Inputs that calibrate the converters; the first one also serves `verifyEach`. */
  readonly samples: readonly Sample[];
  readonly options: Options;
  /** Passes after which a dump is kept, besides the last of each level. */
  readonly dump: "all" | readonly string[];
  /** Measures kernels; absent: costs are those of the target's table. */
  readonly measured?: PassContext["measured"];
  /** Compare the module's answer with the original's after every pass, on ONNX Runtime. */
  readonly verifyEach: boolean;
}

export interface Dump {
  /** `NN-PASS.mlir`. */
  readonly file: string;
  readonly text: string;
}

export interface Compiled {
  readonly module: Module;
  readonly store: WeightStore;
  readonly info: ModelInfo;
  readonly dumps: readonly Dump[];
  readonly remarks: readonly (Remark & { readonly pass: string })[];
  /** What the full scales of each weight cost. */
  readonly calibration: readonly CalibratedWeight[];
}

/** Runs the whole pipeline. `watch` is told of every pass once it is done. */
export async function compileModel(
  request: CompileRequest,
  watch: (step: Step) => void = () => undefined,
): Promise<Compiled> {
  const read = readModel(request.model, { dims: request.dims, set: request.set ?? {} });
  const { module: source, store, info } = read;
  const dumps: Dump[] = [{ file: "00-read.mlir", text: printModule(source) }];
  const remarks = read.remarks.map((r): Remark & { pass: string } => ({ ...r, pass: "read" }));
  const original = { path: request.model, opset: info.opset, source, store };
  const check = request.verifyEach ? sameAnswer(request, original) : async () => undefined;
  const calibration: CalibratedWeight[] = [];
  const surroundings = {
    target: request.target,
    options: request.options,
    weights: store,
    scopes: read.scopes,
    ...(request.measured && { measured: request.measured }),
    observe: observer(original, request.samples),
    alternatives: () => listTargets().map(loadTarget),
    calibrated: (weight: CalibratedWeight) => void calibration.push(weight),
  };
  const module = await runPasses(source, PIPELINE, surroundings, async (step) => {
    remarks.push(...step.remarks.map((r) => ({ ...r, pass: step.pass.name })));
    if (isDumped(step, request.dump)) {
      const number = String(step.index).padStart(2, "0");
      dumps.push({ file: `${number}-${step.pass.name}.mlir`, text: printModule(step.after) });
    }
    await check(step);
    watch(step);
  });
  return { module, store, info, dumps, remarks, calibration };
}

/** The last pass of a stage shows its level whole, so it is always dumped. */
function isDumped(step: Step, dump: CompileRequest["dump"]): boolean {
  const stage = PIPELINE.find((s) => s.name === step.stage);
  return dump === "all" || dump.includes(step.pass.name) || stage?.passes.at(-1) === step.pass;
}
