/** Runs consecutive inferences of a stream, on one thread. */

import type { Tensor } from "../tensor/tensor.ts";
import { Crossbars } from "./crossbar.ts";
import { Executor, type Values } from "./execute.ts";
import type { Artifact } from "./load.ts";
import { Machine } from "./machine.ts";
import type { TileMemory } from "./tile-memory.ts";
import { type WholeProgram, wholeProgram } from "./whole.ts";

export interface Part {
  readonly seed: number;
  /** By graph input. */
  readonly inputs: readonly Values[];
  /** Number of the first of them in the stream. */
  readonly first: number;
  /** Which of the threads this is. */
  readonly thread: number;
  /** ONNX tensors whose values are wanted besides the outputs, of the stream's first inferences. */
  readonly taps: readonly string[];
  readonly tapped: number;
  readonly whole: Whole;
}

/**
 * Of which inferences the values alone are computed, each step on as many tokens at once as it can (whole.ts), and
 * not as the machine goes: of none, of all, or of all but the first of the stream.
 */
export type Whole = boolean | "but-first";

/** Inferences that `but-first` means: in the second of them rings are used again. */
const FIRST = 2;

/** One entry per inference. */
export interface PartResult {
  readonly outputs: readonly Values[];
  readonly taps: readonly Values[];
}

/** `progress` is called after each inference. */
export function runPart(
  artifact: Artifact,
  memory: TileMemory,
  part: Part,
  progress: () => void,
): PartResult {
  const { inputs, first } = part;
  const timed = timedOf(part);
  const parts: readonly Part[] = [
    { ...part, inputs: inputs.slice(0, timed), whole: false },
    { ...part, inputs: inputs.slice(timed), first: first + timed, whole: true },
  ];
  const results = parts
    .filter((p) => p.inputs.length > 0)
    .map((p) => runAlike(artifact, memory, p, progress));
  return {
    outputs: results.flatMap((r) => r.outputs),
    taps: results.flatMap((r) => r.taps),
  };
}

/** How many inferences of a part, from its first, go as the machine goes. */
function timedOf({ whole, first, inputs }: Part): number {
  if (whole !== "but-first") return whole ? 0 : inputs.length;
  return Math.min(inputs.length, Math.max(0, FIRST - first));
}

/** Inferences that are all computed in the same way. */
function runAlike(
  given: Artifact,
  memory: TileMemory,
  part: Part,
  progress: () => void,
): PartResult {
  const program = part.whole ? wholeProgram(given) : null;
  const artifact = program?.artifact ?? given;
  const { buffers, outputs } = artifact.schedule;
  const wanted = new Set(part.taps);
  const tapped = new Map(
    buffers.flatMap((b) =>
      b.tensor !== undefined && wanted.has(b.tensor) ? [[b.tensor, b.id]] : [],
    ),
  );
  const leaving = new Set(outputs.flatMap((o) => o.buffer ?? []));
  const watched = new Set(tapped.values());
  const collect = (id: string, inference: number): boolean =>
    leaving.has(id) || (part.first + inference < part.tapped && watched.has(id));
  const crossbars = new Crossbars(artifact, part.seed, memory, part.thread);
  const executor = new Executor(artifact, crossbars, part.inputs, part.first, collect);
  if (program) runWhole(program, executor, part.inputs.length, progress);
  else runTimed(artifact, executor, part.inputs.length, progress);
  return {
    outputs: part.inputs.map((_, k) => {
      const values = executor.valuesOf(k);
      return new Map(
        outputs.map(({ name, buffer, constant }) => [
          name,
          (constant === undefined
            ? values.get(buffer ?? "")
            : artifact.constants.get(constant)) as Tensor,
        ]),
      );
    }),
    taps: part.inputs.map((_, k) => named(tapped, executor.valuesOf(k))),
  };
}

/** In the order in which the machine finishes iterations. */
function runTimed(
  artifact: Artifact,
  executor: Executor,
  inferences: number,
  progress: () => void,
): void {
  const left: number[] = [];
  const machine = new Machine(artifact, inferences, (slice) => {
    executor.perform(slice);
    const inference = Math.floor(slice.iteration / slice.process.perInference);
    left[inference] = (left[inference] ?? 0) - 1;
    if (left[inference] === 0) progress();
  });
  left.push(...Array.from({ length: inferences }, () => machine.perInference));
  machine.run();
}

/** Step by step, inference by inference. */
function runWhole(
  { order, last }: WholeProgram,
  executor: Executor,
  inferences: number,
  progress: () => void,
): void {
  for (let k = 0; k < inferences; k++) {
    for (const [place, process] of order.entries()) {
      for (let i = 0; i < process.perInference; i++) {
        executor.perform({ process, iteration: k * process.perInference + i });
      }
      executor.forget(last[place] ?? []);
    }
    progress();
  }
}

const named = (names: ReadonlyMap<string, string>, values: Values): Values =>
  new Map(
    [...names].flatMap(([name, id]) => {
      const value = values.get(id);
      return value ? [[name, value] as const] : [];
    }),
  );
