/** A compilation from files to files: what `compile` and the demo have in common. */

import type { Calibration, LoraOption, Policy } from "../../passes/options.ts";
import type { Manifest } from "../artifact/manifest.ts";
import { writeArtifact } from "../backend/artifact.ts";
import { writeDirectory } from "../backend/directory.ts";
import { notNumbers } from "../data/not-a-number.ts";
import { dimsOf, drawInputs, type Sample, splitInferences } from "../data/sample.ts";
import { readSampleFolder } from "../data/sample-folder.ts";
import { InputError } from "../diag/diagnostic.ts";
import { type Compiled, compileModel } from "../driver/compile.ts";
import type { Step } from "../driver/run-passes.ts";
import { toSchedule } from "../ir/dialects/program-schedule.ts";
import type { Module } from "../ir/op.ts";
import { measurerOf } from "../measure/kernel-cycles.ts";
import { readModel, readPorts } from "../onnx/read.ts";
import { loadTarget } from "../target/load.ts";
import type { KernelCosts, Target } from "../target/schema.ts";
import { LARGEST } from "../tensor/full-scale.ts";
import { isStatic, sizeOf } from "../tensor/tensor.ts";
import { showCalibration } from "./calibration.ts";
import { writeTrace } from "./trace.ts";
import { checkEngine, checkIsa } from "./usable-isa.ts";
import { version } from "./version.ts";

export interface BuildRequest {
  readonly model: string;
  readonly target: string;
  readonly output: string;
  readonly dims: Readonly<Record<string, number>>;
  /** Inputs that become constants of the program. */
  readonly set?: Readonly<Record<string, readonly number[]>>;
  /** Folder of sample inputs. */
  readonly data: string | undefined;
  readonly policy: Policy;
  readonly lora: LoraOption;
  readonly tokens: number | "auto";
  readonly seed: number;
  /** Absent: full scales are the largest of what was seen. */
  readonly calibration?: Calibration;
  /** Where costs of kernels come from; absent: as the target says. */
  readonly kernelCosts?: KernelCosts;
  /** Whether products of halves may go to matrix engines; false if not given. */
  readonly matrixEngine?: boolean;
  readonly dump: "all" | readonly string[];
  readonly verifyEach: boolean;
  /** Whether to write the values of weights and constants; true if not given. */
  readonly images?: boolean;
}

/** Compiles and writes the artifact; `tell` hears what is being done, `watch` sees every pass once it is done. */
export async function build(
  request: BuildRequest,
  tell: (doing: string) => void,
  watch: (step: Step) => void = () => undefined,
): Promise<void> {
  const target = loadTarget(request.target);
  checkIsa(target, request.target);
  if (request.matrixEngine) checkEngine(target, request.target);
  const isMeasured = costsOf(request, target) === "measured";
  tell("reading the model");
  const { dims, samples } = samplesFor(request);
  const compiled = await compileModel(
    {
      model: request.model,
      target,
      dims,
      set: request.set ?? {},
      samples,
      options: {
        policy: request.policy,
        lora: request.lora,
        seed: request.seed,
        tokens: request.tokens,
        ...(request.matrixEngine && { matrixEngine: true }),
        ...(request.calibration && { calibration: request.calibration }),
      },
      dump: request.dump,
      verifyEach: request.verifyEach,
      ...(isMeasured && { measured: measurerOf(target) }),
    },
    (step) => {
      tell(`${step.pass.name}: ${step.after.ops.length} operations`);
      watch(step);
    },
  );
  tell("writing the artifact");
  await writeDirectory(request.output, async (dir) => {
    await writeArtifact(dir, {
      module: compiled.module,
      schedule: toSchedule(compiled.module),
      store: compiled.store,
      manifest: manifestOf(request, target, compiled, notNumbers(samples)),
      dumps: compiled.dumps,
      loraAlpha: alphaOf(request.lora),
      images: request.images !== false,
      machine: target,
      ...columnsOf(request, target),
      ...(compiled.calibration.length > 0 && { calibration: compiled.calibration }),
    });
    tell("timing the program");
    await ours(() => writeTrace(dir));
  });
}

const costsOf = ({ kernelCosts }: BuildRequest, { cluster }: Target): KernelCosts =>
  kernelCosts ?? cluster.kernelCosts ?? "table";

function columnsOf({ calibration }: BuildRequest, { device }: Target) {
  const choice = calibration?.columns ?? LARGEST;
  return choice.method === "max" ? {} : { columns: { choice, device } };
}

/** What we have just written must load and run: if it does not, that is no fault of the user's. */
async function ours<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new Error(`the new artifact does not run: ${error.message}`, { cause: error });
  }
}

/**
 * Up to so many parameters, and elements of a result (512 MiB of f32), a model without sample inputs is observed on
 * drawn ones. To observe it ONNX Runtime holds all of it, which is too much to ask for values that say so little.
 */
const DRAWN_ELEMENTS = 2 ** 27;

/** Elements of the largest result. */
const largestOf = ({ ops }: Module): number =>
  ops
    .flatMap((op) => op.results)
    .reduce((most, { type }) => Math.max(most, isStatic(type) ? sizeOf(type.shape) : 0), 0);

function samplesFor(request: BuildRequest): {
  readonly dims: Record<string, number>;
  readonly samples: readonly Sample[];
} {
  const { inputs, outputs } = readPorts(request.model);
  const names = inputs.map((p) => p.name);
  const outputNames = outputs.map((p) => p.name);
  const set = request.set ?? {};
  const given =
    request.data && readSampleFolder(request.data, names, outputNames, Object.keys(set)).inputs;
  const dims = given ? dimsOf(inputs, given, request.dims) : { ...request.dims };
  const { info, module } = readModel(request.model, { dims, set });
  if (given) return { dims, samples: splitInferences(info.inputs, given) };
  const elements = Math.max(info.parameters, largestOf(module));
  const drawn = request.verifyEach || elements <= DRAWN_ELEMENTS;
  return { dims, samples: drawn ? [drawInputs(info.inputs, request.seed)] : [] };
}

const alphaOf = (lora: LoraOption): number => {
  if (lora.kind === "fresh") return lora.alpha;
  return lora.kind === "adapter" ? lora.adapter.alpha : 0;
};

function manifestOf(
  request: BuildRequest,
  target: Target,
  { info, remarks }: Compiled,
  oddSamples: readonly string[],
): Manifest {
  const { policy, lora, tokens, seed, data, images, calibration } = request;
  return {
    format: "aimcc-artifact",
    version: 1,
    compiler: version(),
    model: {
      path: info.path,
      sha256: info.sha256,
      producer: info.producer,
      opset: info.opset,
      parameters: info.parameters,
      inputs: [...info.inputs],
      outputs: [...info.outputs],
      dims: { ...info.dims },
    },
    ...(images === false && { images }),
    target,
    options: {
      policy: policy.name,
      lora: loraText(lora),
      tokens,
      seed,
      kernelCosts: costsOf(request, target),
      ...(data !== undefined && { data }),
      ...(request.matrixEngine && { matrixEngine: true }),
      ...(calibration && { calibrate: showCalibration(calibration) }),
    },
    remarks: [
      ...oddSamples.map((text) => ({ pass: "values", text, nodes: [] })),
      ...remarks.map(({ pass, text, nodes }) => ({ pass, text, nodes: [...nodes] })),
    ],
  };
}

function loraText(lora: LoraOption): string {
  if (lora.kind === "fresh") return `rank=${lora.rank},alpha=${lora.alpha}`;
  return lora.kind === "adapter" ? lora.adapter.folder : "none";
}
