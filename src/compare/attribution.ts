/**
 * Where a loss comes from: which layer, which source of noise. Each is switched on alone, and off alone, on the
 * same chips, so that what is left of a difference is its doing.
 */

import type { Artifact } from "../sim/load.ts";
import type { Mode } from "../sim/program-tiles.ts";
import { type Interval, intervalOf } from "../statistics/interval.ts";
import { outputChecks } from "./checks.ts";
import { type Engine, simulator, unlessAborted } from "./engine.ts";
import { noiseSources } from "./noise-sources.ts";
import { joinedOutputs, type OriginalRun } from "./original-run.ts";
import { Pace } from "./pace.ts";
import type { VerifyRequest } from "./verification.ts";

export interface Cause {
  readonly name: string;
  /** Of a layer: its weight, and the ONNX nodes that it came from. */
  readonly weight?: string | undefined;
  readonly nodes?: readonly string[] | undefined;
  /** The loss when it is the only one. */
  readonly alone: Interval;
  /** The loss that goes when it alone goes. */
  readonly saved: Interval;
}

export interface Attribution {
  readonly timeSeconds: number;
  /** The level of the metric, or of the error power, without any noise and with all of it. */
  readonly exact: Interval;
  readonly noisy: Interval;
  /** What noise costs: positive is worse. */
  readonly loss: Interval;
  /** Largest first. */
  readonly layers: readonly Cause[];
  readonly sources: readonly Cause[];
  /** False when it was interrupted: then causes are missing. */
  readonly complete: boolean;
}

/** A machine, and the weights that it computes exactly. */
interface Setting {
  readonly artifact: Artifact;
  readonly exact: ReadonlySet<string>;
}

interface Question {
  readonly kind: "layers" | "sources";
  readonly name: string;
  readonly weight?: string;
  readonly nodes?: readonly string[];
  readonly alone: Setting;
  readonly without: Setting;
}

/** At the last of the times. Null when not even the whole loss is known. */
export async function attribute(
  request: VerifyRequest,
  original: OriginalRun,
  mode: Exclude<Mode, "ideal">,
): Promise<Attribution | null> {
  const { artifact, seeds, inferences } = request;
  const asked = questions(artifact, mode);
  const runs = (2 + 2 * asked.length) * seeds.length * inferences.length;
  const bench = new Bench(request, original, mode, new Pace(runs));
  try {
    const none = await bench.levels({ artifact, exact: allWeights(artifact) }, "exactly");
    const all = none && (await bench.levels({ artifact, exact: new Set() }, "with everything"));
    if (!none || !all) return null;
    const causes: (Cause & Pick<Question, "kind">)[] = [];
    for (const { alone, without, ...cause } of asked) {
      const { name } = cause;
      const only = await bench.levels(alone, `with ${name} only`);
      const rest = only && (await bench.levels(without, `without ${name}`));
      if (!only || !rest) break;
      causes.push({ ...cause, alone: bench.loss(only, none), saved: bench.loss(all, rest) });
    }
    const of = (kind: Question["kind"]) =>
      causes
        .filter((c) => c.kind === kind)
        .sort((a, b) => b.alone.mean - a.alone.mean)
        .map(({ kind: _, ...cause }) => cause);
    return {
      timeSeconds: bench.time,
      exact: intervalOf(none),
      noisy: intervalOf(all),
      loss: bench.loss(all, none),
      layers: of("layers"),
      sources: of("sources"),
      complete: causes.length === asked.length,
    };
  } finally {
    await bench.close();
  }
}

const allWeights = ({ mapping }: Artifact): ReadonlySet<string> =>
  new Set(mapping.weights.map((w) => w.name));

function questions(artifact: Artifact, mode: Exclude<Mode, "ideal">): readonly Question[] {
  const all = allWeights(artifact);
  const layers = artifact.mapping.weights.map(({ name, module, nodes }): Question => {
    const others = new Set([...all].filter((w) => w !== name));
    const alone = { artifact, exact: others };
    const without = { artifact, exact: new Set([name]) };
    return { kind: "layers", name: module || name, weight: name, nodes, alone, without };
  });
  const sources = noiseSources(artifact.target, mode);
  const without = (names: readonly string[]): Setting => {
    const off = sources.filter((s) => names.includes(s.name));
    return { artifact: off.reduce((a, s) => s.off(a), artifact), exact: new Set() };
  };
  const names = sources.map((s) => s.name);
  return [
    ...layers,
    ...names.map((name): Question => {
      const others = names.filter((n) => n !== name);
      return { kind: "sources", name, alone: without(others), without: without([name]) };
    }),
  ];
}

/** Runs settings, and keeps the engine while the machine stays the same. */
class Bench {
  readonly time: number;
  private readonly request: VerifyRequest;
  private readonly original: OriginalRun;
  private readonly mode: Mode;
  private readonly pace: Pace;
  private engine: { readonly of: Artifact; readonly engine: Engine } | undefined;
  private done = 0;

  constructor(request: VerifyRequest, original: OriginalRun, mode: Mode, pace: Pace) {
    this.time = request.times.at(-1) ?? 0;
    this.request = request;
    this.original = original;
    this.mode = mode;
    this.pace = pace;
  }

  /** Of the metric, or else of the power of the error, one for each seed; null when interrupted. */
  async levels({ artifact, exact }: Setting, what: string): Promise<readonly number[] | null> {
    const { seeds, signal, inferences, tell } = this.request;
    const engine = await this.engineFor(artifact);
    const levels: number[] = [];
    this.pace.start();
    for (const seed of seeds) {
      const chip = { mode: this.mode, seed, timeSeconds: this.time, exact, whole: true };
      const result = await unlessAborted(engine, signal, () =>
        engine.run(chip, (done) => {
          tell([`explaining: ${what}`, ...this.pace.reach(this.done + done)].join(", "));
        }),
      );
      if (!result) return null;
      this.done += inferences.length;
      levels.push(this.level(joinedOutputs(artifact, result.outputs)));
    }
    return levels;
  }

  /** How much worse the first is than the second, on the same chips. */
  loss(worse: readonly number[], better: readonly number[]): Interval {
    const sign = this.request.metric?.better === "higher" ? -1 : 1;
    return intervalOf(worse.map((w, i) => sign * (w - (better[i] as number))));
  }

  async close(): Promise<void> {
    await this.engine?.engine.close();
  }

  private level(outputs: ReturnType<typeof joinedOutputs>): number {
    const { artifact, metric, recorded } = this.request;
    if (metric) return metric.of(outputs);
    const checks = outputChecks(artifact, outputs, this.original, recorded);
    return Math.max(...checks.map(({ difference }) => 10 ** (-difference.snr / 10)));
  }

  private async engineFor(artifact: Artifact): Promise<Engine> {
    if (this.engine?.of === artifact) return this.engine.engine;
    await this.close();
    const { inferences, stream = false } = this.request;
    const engine = await simulator(artifact, { inputs: inferences, stream });
    this.engine = { of: artifact, engine };
    return engine;
  }
}
