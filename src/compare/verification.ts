/**
 * Holds the simulation of an artifact against ONNX Runtime on the original file, and against recorded
 * outputs where there are some: at the outputs of every inference, and inside, layer by layer, in the first.
 */

import type { MappedWeight } from "../artifact/mapping.ts";
import type { Sample } from "../data/sample.ts";
import { joinInferences } from "../data/sample.ts";
import { InputError } from "../diag/diagnostic.ts";
import { openModel, type Session } from "../reference/run.ts";
import { tapModel } from "../reference/tap.ts";
import type { Artifact } from "../sim/load.ts";
import type { Mode } from "../sim/program-tiles.ts";
import { checkRoom } from "../sim/room.ts";
import { simulate, tappable } from "../sim/simulate.ts";
import type { Timeline } from "../sim/timeline.ts";
import { isFloat, type Tensor } from "../tensor/tensor.ts";
import { argmaxAgreement, type Difference, differenceOf } from "./difference.ts";
import { bitsPerToken } from "./quality.ts";

/** Largest error at the outputs that `ideal` may have, relative to the output's largest value. */
const IDEAL_TOLERANCE = 1e-3;

/** Ten times the spacing of the numbers that a half-precision output is made of. */
const COARSE: Readonly<Record<string, number>> = { f16: 1e-2, bf16: 8e-2 };

export interface VerifyRequest {
  readonly artifact: Artifact;
  /** The reference file. */
  readonly model: string;
  readonly inferences: readonly Sample[];
  /** Outputs recorded with the inputs, of all inferences along the leading axis. */
  readonly recorded: ReadonlyMap<string, Tensor>;
  readonly mode: Mode;
  readonly seeds: readonly number[];
  readonly timeSeconds: number;
  /** Decides about the modes other than `ideal`; without it they are only reported. */
  readonly tolerance?: number | undefined;
  /** The next token for each vector of logits, of all inferences: gives bits per token. */
  readonly labels?: Tensor | undefined;
  readonly tell: (doing: string) => void;
}

interface OutputCheck {
  readonly output: string;
  readonly against: "ONNX Runtime" | "recorded";
  readonly difference: Difference;
  /** Share of vectors with the same largest element, for outputs that are logits. */
  readonly argmax?: number;
}

export interface LayerCheck {
  readonly tensor: string;
  readonly step: string;
  readonly kernel: string;
  readonly module: string;
  readonly weight?: string;
  readonly nodes: readonly string[];
  readonly difference: Difference;
}

export interface SeedRun {
  readonly seed: number;
  readonly outputs: readonly OutputCheck[];
  readonly layers: readonly LayerCheck[];
  readonly bitsPerToken?: number;
}

export interface Verification {
  readonly mode: Mode;
  readonly inferences: number;
  readonly tolerance?: number | undefined;
  readonly verdict: "agrees" | "differs" | "reported";
  /** The first layer beyond the tolerance, when the verdict is `differs`. */
  readonly firstDeviating?: LayerCheck | undefined;
  readonly runs: readonly SeedRun[];
  readonly referenceBitsPerToken?: number;
  readonly timing: Timeline;
}

export async function verifyArtifact(request: VerifyRequest): Promise<Verification> {
  const { artifact, inferences, mode, labels } = request;
  checkRoom(artifact);
  const reference = await runReference(request);
  const runs: SeedRun[] = [];
  let timing: Timeline | undefined;
  for (const seed of request.seeds) {
    const said = request.seeds.length > 1 ? `${mode}, seed ${seed}` : mode;
    const simulation = await simulate(artifact, {
      inputs: inferences,
      mode,
      seed,
      timeSeconds: request.timeSeconds,
      taps: [...reference.taps.keys()],
      progress: (done) => request.tell(`simulating ${said}: ${done} of ${inferences.length}`),
    });
    timing = simulation.timing;
    const outputs = joinedOutputs(artifact, simulation.outputs);
    runs.push({
      seed,
      outputs: outputChecks(artifact, outputs, reference.outputs, request.recorded),
      layers: layerChecks(artifact, simulation.taps[0] ?? new Map(), reference.taps),
      ...(labels && { bitsPerToken: bitsPerToken(logitsOf(artifact, outputs), labels) }),
    });
  }
  if (!timing) throw new Error("a verification needs a seed");
  const tolerance = request.tolerance ?? (mode === "ideal" ? idealTolerance(artifact) : undefined);
  const agree = tolerance !== undefined && runs.every((r) => agrees(r, tolerance, mode));
  const verdict = tolerance === undefined ? "reported" : agree ? "agrees" : "differs";
  return {
    mode,
    inferences: inferences.length,
    tolerance,
    verdict,
    ...(verdict === "differs" && { firstDeviating: firstBeyond(runs, tolerance ?? 0) }),
    runs,
    ...(labels &&
      reference.outputs.size > 0 && {
        referenceBitsPerToken: bitsPerToken(logitsOf(artifact, reference.outputs), labels),
      }),
    timing,
  };
}

const idealTolerance = ({ manifest }: Artifact): number =>
  Math.max(IDEAL_TOLERANCE, ...manifest.model.outputs.map((o) => COARSE[o.elem] ?? 0));

interface Reference {
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** By ONNX tensor, of the first inference. */
  readonly taps: ReadonlyMap<string, Tensor>;
}

/**
 * The original file on ONNX Runtime, node by node: its extended fusions may change an answer by a percent.
 * A file that ONNX Runtime refuses (opsets before 7) is judged by its recorded outputs, if it has all.
 */
async function runReference(request: VerifyRequest): Promise<Reference> {
  const { artifact, model, inferences, recorded, tell } = request;
  tell("running the original model in ONNX Runtime");
  let session: Session;
  try {
    session = await openModel(model, { optimisation: "disabled" });
  } catch (error) {
    const isEnough = artifact.manifest.model.outputs.every(({ name }) => recorded.has(name));
    if (!(error instanceof InputError) || !isEnough) throw error;
    return { outputs: new Map(), taps: new Map() };
  }
  const outputs: ReadonlyMap<string, Tensor>[] = [];
  for (const inputs of inferences) outputs.push(await session.run(new Map(inputs)));
  await session.close();
  const taps = await tapped(model, tappable(artifact), inferences[0]);
  return { outputs: joinedOutputs(artifact, outputs), taps };
}

async function tapped(
  model: string,
  names: readonly string[],
  inputs: Sample | undefined,
): Promise<ReadonlyMap<string, Tensor>> {
  const computed = names.filter((n) => inputs?.has(n) === false);
  if (computed.length === 0 || !inputs) return new Map();
  const tap = await tapModel(model, computed);
  try {
    return tap.names.length === 0 ? new Map() : await tap.run(new Map(inputs));
  } finally {
    await tap.close();
  }
}

const joinedOutputs = (
  { manifest }: Artifact,
  parts: readonly ReadonlyMap<string, Tensor>[],
): Map<string, Tensor> =>
  new Map(
    manifest.model.outputs.map(({ name }) => [
      name,
      joinInferences(parts.flatMap((p) => p.get(name) ?? [])),
    ]),
  );

/** Outputs whose largest element is a decision: by the name that exporters give them. */
const isLogits = (name: string, value: Tensor): boolean =>
  /logit|score/i.test(name) && isFloat(value.elem) && value.shape.length >= 2;

function logitsOf({ manifest }: Artifact, outputs: ReadonlyMap<string, Tensor>): Tensor {
  const [first] = manifest.model.outputs;
  const named = [...outputs].find(([name, value]) => isLogits(name, value));
  const found = named?.[1] ?? outputs.get(first?.name ?? "");
  if (!found) throw new Error("a model has outputs");
  return found;
}

function outputChecks(
  { manifest }: Artifact,
  actual: ReadonlyMap<string, Tensor>,
  computed: ReadonlyMap<string, Tensor>,
  recorded: ReadonlyMap<string, Tensor>,
): OutputCheck[] {
  const check = (output: string, against: OutputCheck["against"], expected: Tensor | undefined) => {
    const value = actual.get(output);
    if (!expected) return [];
    const difference = differenceOf(value, expected);
    const comparable = value?.data.length === expected.data.length;
    if (!comparable || !isLogits(output, expected)) return [{ output, against, difference }];
    return [{ output, against, difference, argmax: argmaxAgreement(value as Tensor, expected) }];
  };
  return manifest.model.outputs.flatMap(({ name }) => [
    ...check(name, "ONNX Runtime", computed.get(name)),
    ...check(name, "recorded", recorded.get(name)),
  ]);
}

/** In the order of the program. */
function layerChecks(
  { schedule, mapping }: Artifact,
  actual: ReadonlyMap<string, Tensor>,
  expected: ReadonlyMap<string, Tensor>,
): LayerCheck[] {
  const steps = new Map(schedule.steps.map((s, i) => [s.id, { ...s, place: i }]));
  const checks = schedule.buffers.flatMap((buffer) => {
    const step = steps.get(buffer.writer);
    const value = expected.get(buffer.tensor ?? "");
    if (!step || !value || buffer.tensor === undefined) return [];
    const weight = step.weight ?? weightBehind(mapping.weights, step);
    const difference = differenceOf(actual.get(buffer.tensor), value);
    const { id, kernel, module, nodes, place } = step;
    const check: LayerCheck = {
      tensor: buffer.tensor,
      step: id,
      kernel,
      module,
      ...(weight !== undefined && { weight }),
      nodes,
      difference,
    };
    return [{ place, check }];
  });
  return checks.sort((a, b) => a.place - b.place).map(({ check }) => check);
}

/** Sums, biases and side-branches stand for the weight whose module or nodes they share. */
const weightBehind = (
  weights: readonly MappedWeight[],
  step: { readonly nodes: readonly string[] },
): string | undefined => weights.find((w) => w.nodes.some((n) => step.nodes.includes(n)))?.name;

function agrees(run: SeedRun, tolerance: number, mode: Mode): boolean {
  return run.outputs.every(({ difference, argmax }) => {
    if (!(difference.relative <= tolerance)) return false;
    return mode !== "ideal" || argmax === undefined || argmax === 1;
  });
}

const firstBeyond = (runs: readonly SeedRun[], tolerance: number): LayerCheck | undefined =>
  runs.flatMap((r) => r.layers).find((l) => !(l.difference.relative <= tolerance));
