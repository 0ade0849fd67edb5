/** What the original model computes on the inputs of a verification. */

import { joinInferences, type Sample } from "../data/sample.ts";
import { InputError } from "../diag/diagnostic.ts";
import { openExactly } from "../reference/exact.ts";
import { openModel, type Session } from "../reference/run.ts";
import { runInPieces } from "../reference/run-pieces.ts";
import { tapModel } from "../reference/tap.ts";
import type { Artifact } from "../sim/load.ts";
import { tappable } from "../sim/simulate.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { differenceOf } from "./difference.ts";
import { isQuantiser } from "./precision.ts";

type Tensors = ReadonlyMap<string, Tensor>;

export interface OriginalRun {
  /** Of all inferences, joined along the leading axis; none when ONNX Runtime refuses the file. */
  readonly outputs: Tensors;
  /** By ONNX tensor, of the first inference. */
  readonly taps: Tensors;
  /** By output, how far the rounding that recorded outputs were made with moves ONNX Runtime's own answer. */
  readonly rounding: ReadonlyMap<string, number>;
  /** By output, how far ONNX Runtime is from what was recorded, where that is more than rounding. */
  readonly strange: ReadonlyMap<string, number>;
  /** By output of a model that quantises while it runs, how far ONNX Runtime's two ways to compute it are apart. */
  readonly ties: ReadonlyMap<string, number>;
  /** Why ONNX Runtime does not run the file, when recorded outputs stand alone. */
  readonly refused?: string | undefined;
}

export interface OriginalRequest {
  readonly artifact: Artifact;
  /** The reference file. */
  readonly model: string;
  readonly inferences: readonly Sample[];
  /** Outputs recorded with the inputs, of all inferences along the leading axis. */
  readonly recorded: Tensors;
  readonly tell: (doing: string) => void;
  /** Memory does not grow with the model: on both sides it is run piece by piece. */
  readonly stream?: boolean | undefined;
}

/** Outputs that are nearer to the original than this need no other explanation. */
export const CLOSE = 1e-3;

/**
 * The original file on ONNX Runtime, node by node: its extended fusions, and rounding that the file permits, may
 * change an answer by a percent. A file that ONNX Runtime refuses (opsets before 7, operators that only GPUs run) is judged by its recorded outputs, if
 * it has all.
 */
export async function runOriginal(request: OriginalRequest): Promise<OriginalRun> {
  const { artifact, model, inferences, recorded, tell } = request;
  tell("running the original model in ONNX Runtime");
  let outputs: Tensors;
  let taps: Tensors | undefined;
  try {
    const streamed = isLarge(request) ? await inPieces(request).catch(uncut) : null;
    taps = streamed?.taps;
    outputs = streamed?.outputs ?? (await allOutputs(await openExactly(model), request));
  } catch (error) {
    const isEnough = artifact.manifest.model.outputs.every(({ name }) => recorded.has(name));
    if (!(error instanceof InputError) || !isEnough) throw error;
    const none = new Map();
    const refused = error.diagnostics.map(({ text }) => text).join("; ");
    return { outputs: none, taps: none, rounding: none, strange: none, ties: none, refused };
  }
  taps ??= await tapped(model, tappable(artifact), inferences[0]);
  return { outputs, taps, ...(await doubts(request, outputs)) };
}

/** ONNX Runtime keeps what a model took even when it is closed, and the simulator needs the room. */
const isLarge = ({ stream, artifact }: OriginalRequest): boolean =>
  stream === true || artifact.manifest.model.parameters > LARGE;

const LARGE = 2 ** 25;

/** What ONNX Runtime refuses in pieces it may still run whole. */
function uncut(error: unknown): null {
  if (error instanceof InputError) return null;
  throw error;
}

/** Null for a model that cannot be cut. */
async function inPieces({ artifact, model, inferences, tell }: OriginalRequest) {
  const answers = await runInPieces(model, inferences, {
    outputs: artifact.manifest.model.outputs.map((o) => o.name),
    taps: tappable(artifact).filter((name) => inferences[0]?.has(name) === false),
    tell: (done, of) => tell(`running the original model in ONNX Runtime: piece ${done} of ${of}`),
  });
  return answers && { taps: answers.taps, outputs: joinedOutputs(artifact, answers.outputs) };
}

async function allOutputs(
  session: Session,
  { artifact, inferences, tell }: OriginalRequest,
): Promise<Tensors> {
  const outputs: Tensors[] = [];
  for (const inputs of inferences) {
    outputs.push(await session.run(new Map(inputs)));
    tell(`running the original model in ONNX Runtime: ${outputs.length} of ${inferences.length}`);
  }
  await session.close();
  return joinedOutputs(artifact, outputs);
}

/**
 * What else than a fault may move an output. Outputs are often recorded with ONNX Runtime as it comes, which
 * rounds the inputs of products with small integers to 8 bits: where the recorded ones are at least twice as near
 * to such a run as to the exact one, its distance from the exact one is no fault of what is verified. A model that
 * quantises while it runs has numbers at ties, which ONNX Runtime's two runs turn as they like.
 */
async function doubts(
  request: OriginalRequest,
  exact: Tensors,
): Promise<Pick<OriginalRun, "rounding" | "strange" | "ties">> {
  const { artifact, recorded } = request;
  const quantises = artifact.schedule.steps.some((s) => isQuantiser(s.kernel));
  const far = [...recorded].filter(([name, value]) => apart(value, exact.get(name)) > CLOSE);
  if (far.length === 0 && !quantises) {
    return { rounding: new Map(), strange: new Map(), ties: new Map() };
  }
  const optimised = await allOutputs(await openModel(request.model), request);
  const moved = new Map([...optimised].map(([n, value]) => [n, apart(value, exact.get(n))]));
  const isMade = ([name, value]: [string, Tensor]): boolean =>
    2 * apart(value, optimised.get(name)) < apart(value, exact.get(name));
  return {
    rounding: new Map(far.filter(isMade).map(([name]) => [name, moved.get(name) ?? 0])),
    strange: new Map(far.map(([name, value]) => [name, apart(exact.get(name), value)])),
    ties: quantises ? moved : new Map(),
  };
}

const apart = (value: Tensor | undefined, other: Tensor | undefined): number =>
  value && other ? differenceOf(value, other).relative : 0;

async function tapped(
  model: string,
  names: readonly string[],
  inputs: Sample | undefined,
): Promise<Tensors> {
  const computed = names.filter((n) => inputs?.has(n) === false);
  if (computed.length === 0 || !inputs) return new Map();
  const tap = await tapModel(model, computed);
  try {
    return tap.names.length === 0 ? new Map() : await tap.run(new Map(inputs));
  } finally {
    await tap.close();
  }
}

/** The outputs of several inferences along the leading axis. */
export const joinedOutputs = (
  { manifest }: Artifact,
  parts: readonly Tensors[],
): Map<string, Tensor> =>
  new Map(
    manifest.model.outputs.map(({ name }) => [
      name,
      joinInferences(parts.flatMap((p) => p.get(name) ?? [])),
    ]),
  );
