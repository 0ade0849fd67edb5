/**
 * Holds the simulation of an artifact against ONNX Runtime on the original file, and against recorded outputs
 * where there are some: for each chip (a seed) at each time, at the outputs of every inference and inside,
 * layer by layer, in the first.
 */

import { fail } from "../diag/diagnostic.ts";
import type { Metric } from "../metric/metric.ts";
import type { Artifact } from "../sim/load.ts";
import type { Mode } from "../sim/program-tiles.ts";
import { checkRoom } from "../sim/room.ts";
import { type Timeline, timeline } from "../sim/timeline.ts";
import { intervalOf, isTight } from "../statistics/interval.ts";
import { age } from "./age.ts";
import { type Attribution, attribute } from "./attribution.ts";
import { type LayerCheck, layerChecks, type OutputCheck, outputChecks } from "./checks.ts";
import { type Engine, type EngineMaker, simulator, unlessAborted } from "./engine.ts";
import { isOff, type MachineCode, type StepCheck } from "./machine-code.ts";
import {
  joinedOutputs,
  type OriginalRequest,
  type OriginalRun,
  runOriginal,
} from "./original-run.ts";
import { Pace } from "./pace.ts";
import { coarseness, isQuantiser } from "./precision.ts";

/** Largest error at the outputs that `ideal` may have, relative to the output's largest value. */
const IDEAL_TOLERANCE = 1e-3;

export interface VerifyRequest extends OriginalRequest {
  readonly mode: Mode;
  readonly seeds: readonly number[];
  /** Since programming, in seconds, ascending. */
  readonly times: readonly number[];
  /** Decides about the modes other than `ideal`; without it they are only reported. */
  readonly tolerance?: number | undefined;
  readonly metric?: Metric | undefined;
  /** Seeds end when the interval of what is measured is this small a share of its mean, at every time. */
  readonly until?: number | undefined;
  /** Runs of an earlier verification of the same, and where the new ones are noted. */
  readonly results?: ResultsLog | undefined;
  /** Says which layers and which sources of noise the loss comes from, at the last of the times. */
  readonly explain?: boolean | undefined;
  /** What simulates; absent: the simulator. */
  readonly engine?: EngineMaker | undefined;
  /** Runs machine code in place of kernels. */
  readonly machineCode?: MachineCode | undefined;
  /** Ends the verification with the seeds that are finished. */
  readonly signal?: AbortSignal | undefined;
}

export interface ResultsLog {
  readonly known: readonly SeedRun[];
  add(run: SeedRun): void;
}

/** One chip at one time. */
export interface SeedRun {
  readonly seed: number;
  readonly timeSeconds: number;
  readonly outputs: readonly OutputCheck[];
  readonly layers: readonly LayerCheck[];
  readonly metric?: number | undefined;
}

/** Why no further seeds ran: there were no more, the interval was tight, or the user ended it. */
export type Ending = "all" | "tight" | "interrupted";

export interface Verification {
  readonly mode: Mode;
  readonly inferences: number;
  readonly tolerance?: number | undefined;
  readonly verdict: "agrees" | "differs" | "reported";
  /** The first layer beyond the tolerance, when the verdict is `differs`. */
  readonly firstDeviating?: LayerCheck | undefined;
  readonly times: readonly number[];
  /** All times of a seed together, seed after seed. */
  readonly runs: readonly SeedRun[];
  readonly ending: Ending;
  readonly metric?: Metric | undefined;
  /** Why ONNX Runtime does not run the original, when it is judged by recorded outputs alone. */
  readonly refused?: string | undefined;
  /** The metric of the original model. */
  readonly referenceMetric?: number | undefined;
  readonly timing: Timeline;
  /** Of machine code: the steps of the last run. */
  readonly steps?: readonly StepCheck[] | undefined;
  /** With `explain`; null when it was interrupted early. */
  readonly attribution?: Attribution | null | undefined;
}

/** Errors: A436 when the signal came before the first seed was finished. */
export async function verifyArtifact(request: VerifyRequest): Promise<Verification> {
  const { artifact, inferences, mode, metric, times } = request;
  checkRoom(artifact);
  const original = await runOriginal(request);
  const referenceMetric =
    metric && original.outputs.size > 0 ? metric.of(original.outputs) : undefined;
  const { runs, ending } = await seedRuns(request, original);
  if (runs.length === 0) {
    const hint = "results that were noted with --resume are kept: the same command goes on";
    fail("A436", "ended before the first seed was finished", { kind: "command" }, hint);
  }
  const isAsked = request.explain && mode !== "ideal";
  const attribution = isAsked ? await attribute(request, original, mode) : undefined;
  const tolerance = request.tolerance ?? (mode === "ideal" ? idealTolerance(artifact) : undefined);
  const steps = request.machineCode?.steps(artifact);
  const kernelsAgree = !(steps ?? []).some(isOff);
  const agree = tolerance === undefined || runs.every((r) => agrees(r, tolerance, mode));
  const reported = tolerance === undefined ? "reported" : "agrees";
  const verdict = agree && kernelsAgree ? reported : "differs";
  return {
    mode,
    inferences: inferences.length,
    tolerance,
    verdict,
    ...(!agree && { firstDeviating: firstBeyond(runs, tolerance) }),
    times,
    runs,
    ending,
    metric,
    refused: original.refused,
    referenceMetric,
    timing: request.machineCode?.last?.timing ?? timeline(artifact, inferences.length),
    steps,
    attribution,
  };
}

/**
 * Outputs in single precision are as coarse as what they are computed from: models keep half floats inside, and so do
 * matrix engines.
 */
function idealTolerance({ manifest, schedule }: Artifact): number {
  const elems = [...manifest.model.outputs, ...schedule.buffers].map((o) => o.elem);
  const onEngine = schedule.steps.some((s) => s.attrs["engine"] !== undefined);
  return Math.max(IDEAL_TOLERANCE, coarseness([...elems, ...(onEngine ? ["f16"] : [])]));
}

/** The runs of whole seeds, until there are enough. */
async function seedRuns(
  request: VerifyRequest,
  original: OriginalRun,
): Promise<{ runs: SeedRun[]; ending: Ending }> {
  const { seeds, times, until } = request;
  const chips = new Chips(request, original);
  const runs: SeedRun[] = [];
  try {
    for (const seed of seeds) {
      const ofSeed = await chips.runsOf(seed);
      if (!ofSeed) return { runs, ending: "interrupted" };
      runs.push(...ofSeed);
      if (until !== undefined && areTight(runs, times, until)) return { runs, ending: "tight" };
    }
    return { runs, ending: "all" };
  } finally {
    await chips.close();
  }
}

/** Simulates chips one by one, those that are not known from before. */
class Chips {
  private readonly request: VerifyRequest;
  private readonly original: OriginalRun;
  private readonly pace: Pace;
  private engine: Engine | undefined;
  /** Inferences that have run. */
  private done = 0;

  constructor(request: VerifyRequest, original: OriginalRun) {
    const { seeds, times, inferences } = request;
    this.request = request;
    this.original = original;
    this.pace = new Pace(seeds.length * times.length * inferences.length);
  }

  /** One for each time; null when it was interrupted. */
  async runsOf(seed: number): Promise<readonly SeedRun[] | null> {
    const { times, results, inferences } = this.request;
    const runs: SeedRun[] = [];
    for (const time of times) {
      const known = results?.known.find((r) => r.seed === seed && r.timeSeconds === time);
      if (known) this.pace.skip(inferences.length);
      const run = known ?? (await this.run(seed, time));
      if (!run) return null;
      if (!known) results?.add(run);
      runs.push(run);
    }
    return runs;
  }

  private async run(seed: number, time: number): Promise<SeedRun | null> {
    const { request, original } = this;
    const { artifact, inferences, mode, metric, signal, stream = false } = request;
    if (signal?.aborted) return null;
    const taps = [...original.taps.keys()];
    const make = request.machineCode?.engine ?? request.engine ?? simulator;
    const engine =
      this.engine ?? (await make(artifact, { inputs: inferences, taps, tapped: 1, stream }));
    this.engine = engine;
    this.pace.start();
    // The machine proves itself where nothing is disturbed, once; of chips the values are wanted.
    const whole = mode === "ideal" ? ("but-first" as const) : true;
    const chip = { mode, seed, timeSeconds: time, whole };
    const simulation = await unlessAborted(engine, signal, () =>
      engine.run(chip, (done) => this.tell(seed, time, done)),
    );
    if (!simulation) return null;
    this.done += inferences.length;
    const outputs = joinedOutputs(artifact, simulation.outputs);
    const layers = layerChecks(artifact, simulation.taps[0] ?? new Map(), original.taps);
    return {
      seed,
      timeSeconds: time,
      outputs: outputChecks(
        artifact,
        outputs,
        turnedATie(layers) ? original : { ...original, ties: new Map() },
        request.recorded,
      ),
      layers,
      ...(metric && { metric: metric.of(outputs) }),
    };
  }

  async close(): Promise<void> {
    await this.engine?.close();
  }

  private tell(seed: number, time: number, done: number): void {
    const { mode, seeds, times, inferences } = this.request;
    const chip = seeds.length > 1 ? `, seed ${seed}` : "";
    const when = times.length > 1 ? `, after ${age(time)}` : "";
    const place = `simulating ${mode}${chip}${when}: ${done} of ${inferences.length}`;
    this.request.tell([place, ...this.pace.reach(this.done + done)].join(", "));
  }
}

/** The largest error of any output, relative to that output's largest value. */
export const worstError = (run: SeedRun): number =>
  Math.max(...run.outputs.map((o) => o.difference.relative));

/** What `until` looks at: the metric, or the error of the outputs. */
const measured = (run: SeedRun): number => run.metric ?? worstError(run);

const areTight = (runs: readonly SeedRun[], times: readonly number[], share: number): boolean =>
  times.every((time) =>
    isTight(intervalOf(runs.filter((r) => r.timeSeconds === time).map(measured)), share),
  );

function agrees(run: SeedRun, tolerance: number, mode: Mode): boolean {
  return run.outputs.every(({ difference, argmax, rounding }) => {
    if (!(difference.relative <= tolerance + (rounding ?? 0))) return false;
    // Rounding may turn what was nearly a tie; against the exact answer every token counts.
    return mode !== "ideal" || argmax === undefined || argmax === 1 || rounding !== undefined;
  });
}

/** Whether the first layer that is off is a quantiser, and by no more than one of its steps. */
export function turnedATie(layers: readonly LayerCheck[]): boolean {
  const first = layers.find((l) => !(l.difference.relative <= IDEAL_TOLERANCE));
  return first !== undefined && isQuantiser(first.kernel) && first.difference.maxError <= 1;
}

const firstBeyond = (runs: readonly SeedRun[], tolerance: number): LayerCheck | undefined =>
  runs.flatMap((r) => r.layers).find((l) => !(l.difference.relative <= tolerance));
