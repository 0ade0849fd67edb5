/** Runs consecutive inferences of a stream, on one thread. */

import type { Tensor } from "../tensor/tensor.ts";
import { Crossbars } from "./crossbar.ts";
import { Executor, type Values } from "./execute.ts";
import type { Artifact } from "./load.ts";
import { Machine } from "./machine.ts";
import type { Programming } from "./program-tiles.ts";
import { sideBySide } from "./side-by-side.ts";
import { heldTiles, type TileMemory, type Tiles } from "./tile-memory.ts";
import { TileWindow } from "./tile-window.ts";
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

/** The tiles of a chip: all of them programmed, or none yet and memory for a few. */
export type ChipTiles = TileMemory | { readonly how: Programming; readonly bytes: number };

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
  chip: ChipTiles,
  part: Part,
  progress: () => void,
): PartResult {
  const { inputs, first } = part;
  const timed = timedOf(part);
  const tiles =
    "banks" in chip ? heldTiles(artifact, chip) : new TileWindow(artifact, chip.how, chip.bytes);
  const parts: readonly Part[] = [
    { ...part, inputs: inputs.slice(0, timed), whole: false },
    { ...part, inputs: inputs.slice(timed), first: first + timed, whole: true },
  ];
  const results = parts
    .filter((p) => p.inputs.length > 0)
    .map((p) => runAlike(artifact, tiles, p, progress));
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
function runAlike(given: Artifact, tiles: Tiles, part: Part, progress: () => void): PartResult {
  const { inputs, seed, thread, first } = part;
  const program = part.whole ? wholeProgram(given) : null;
  const artifact = program?.artifact ?? given;
  const tapped = tappedBuffers(artifact, part);
  const collect = collector(artifact, part, new Set(tapped.values()));
  const crossbars = new Crossbars(artifact, seed, tiles, thread);
  if (program && tiles instanceof TileWindow) {
    // Each tile is programmed for many inferences at once.
    return joined(
      sideBySide(program, inputs.length, progress, (k) => {
        const own = (id: string) => collect(id, k);
        const executor = new Executor(artifact, crossbars, inputs.slice(k, k + 1), first + k, own);
        return { executor, result: () => resultOf(artifact, tapped, executor.valuesOf(0)) };
      }),
    );
  }
  const executor = new Executor(artifact, crossbars, inputs, first, collect);
  if (program) runWhole(program, executor, inputs.length, progress);
  else runTimed(artifact, executor, inputs.length, progress);
  return joined(inputs.map((_, k) => resultOf(artifact, tapped, executor.valuesOf(k))));
}

/** Which values of inferences that one executor computes are kept, and what comes of them in the end. */
export function wantedOf(artifact: Artifact, part: Wanted) {
  const tapped = tappedBuffers(artifact, part);
  return {
    collect: collector(artifact, part, new Set(tapped.values())),
    resultOf: (executor: Executor): PartResult =>
      joined(part.inputs.map((_, k) => resultOf(artifact, tapped, executor.valuesOf(k)))),
  };
}

type Wanted = Pick<Part, "inputs" | "first" | "taps" | "tapped">;

/** Buffers by the ONNX tensors that are wanted of them. */
function tappedBuffers({ schedule }: Artifact, { taps }: Wanted): ReadonlyMap<string, string> {
  const wanted = new Set(taps);
  return new Map(
    schedule.buffers.flatMap((b) =>
      b.tensor !== undefined && wanted.has(b.tensor) ? [[b.tensor, b.id]] : [],
    ),
  );
}

/** Says which values are kept. */
function collector({ schedule }: Artifact, part: Wanted, watched: ReadonlySet<string>) {
  const leaving = new Set(schedule.outputs.flatMap((o) => o.buffer ?? []));
  return (id: string, inference: number): boolean =>
    leaving.has(id) || (part.first + inference < part.tapped && watched.has(id));
}

/** Outputs and taps of one inference. */
interface One {
  readonly outputs: Values;
  readonly taps: Values;
}

const joined = (results: readonly One[]): PartResult => ({
  outputs: results.map((r) => r.outputs),
  taps: results.map((r) => r.taps),
});

function resultOf(
  { schedule, constants }: Artifact,
  tapped: ReadonlyMap<string, string>,
  values: Values,
): One {
  const outputs = schedule.outputs.map(({ name, buffer, constant }) => {
    const value = constant === undefined ? values.get(buffer ?? "") : constants.get(constant);
    return [name, value as Tensor] as const;
  });
  return { outputs: new Map(outputs), taps: named(tapped, values) };
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
