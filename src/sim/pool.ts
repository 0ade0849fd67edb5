/** Whole inferences on threads: a stream in contiguous parts, one a thread, results in order. */

import type { Worker } from "node:worker_threads";
import type { Tensor, TensorData } from "../tensor/tensor.ts";
import { ask } from "../thread/ask.ts";
import { startThread } from "../thread/start.ts";
import { type Artifact, imagesIn } from "./load.ts";
import type { Programming, Turn } from "./program-tiles.ts";
import { type ChipTiles, type Part, type PartResult, runPart, type Whole } from "./run-part.ts";
import { programmed, type TileMemory, withModes } from "./tile-memory.ts";

/** The part of a stream that a thread runs again and again, on chips that differ. */
export type Share = Omit<Part, "seed" | "whole">;

/** What a thread is started with. */
export interface Start {
  readonly artifact: Artifact;
  readonly share: Share;
  /** Of digital constants as many bytes are kept; absent: they are given, in memory that threads share. */
  readonly keep?: number;
}

/** How a stream runs on a chip. The tiles are shared, everything else copied. */
export interface Run {
  readonly tiles: ChipTiles;
  readonly seed: number;
  readonly whole: Whole;
}

/** What a thread is told: program your blocks, or run your part of the stream, on the tiles that were programmed last if none are given. */
export type Order =
  | {
      readonly kind: "program";
      readonly memory: TileMemory;
      readonly how: Programming;
      readonly turn: Turn;
    }
  | ({ readonly kind: "run" } & Omit<Run, "tiles"> & { readonly tiles: ChipTiles | null });

/** Weights that are worth a further thread to program them. */
const WEIGHTS_A_THREAD = 2 ** 23;

/** Threads worth having for so many inferences and weights to program, at most `threads`. */
export const threadsFor = (inferences: number, weights: number, threads: number): number =>
  Math.max(1, Math.min(threads, Math.max(inferences, Math.floor(weights / WEIGHTS_A_THREAD))));

/** Threads that wait for chips to run a stream on. */
export class Pool {
  private readonly artifact: Artifact;
  private readonly stream: Share;
  private readonly workers: readonly Worker[];
  /** What the threads hold. */
  private programmed: TileMemory | undefined;

  /** One thread is this one. With `keep`, constants are read when they are needed, and as many bytes of them kept. */
  constructor(artifact: Artifact, stream: Share, count: number, keep?: number) {
    this.stream = stream;
    this.artifact =
      keep === undefined ? artifact : { ...artifact, ...imagesIn(artifact.directory, keep) };
    const isAlone = count === 1;
    // Threads open the files of what they do not share themselves.
    const constants = isAlone || keep !== undefined ? new Map() : sharedConstants(artifact);
    const lean = { ...artifact, tiles: new Map(), constants };
    this.workers = Array.from({ length: isAlone ? 0 : count }, (_, i) => {
      const share = shareOf(stream, i, count);
      const start: Start = { artifact: lean, share, ...(keep !== undefined && { keep }) };
      return startThread(new URL("./worker", import.meta.url), start);
    });
  }

  /** The memory, programmed by all threads; what it held before is gone. */
  async program(memory: TileMemory, how: Programming): Promise<TileMemory> {
    const { artifact, workers } = this;
    if (workers.length === 0) return programmed(memory, artifact, how);
    const of = workers.length;
    const told = workers.map((worker, thread) =>
      ask(worker, { kind: "program", memory, how, turn: { thread, of } } satisfies Order),
    );
    await Promise.all(told);
    this.programmed = withModes(memory, artifact, how);
    return this.programmed;
  }

  /** `progress` is told how many inferences are done. */
  async run(order: Run, progress: (done: number) => void): Promise<PartResult> {
    let done = 0;
    const one = (): void => progress(++done);
    const { artifact, stream, workers } = this;
    const { tiles, ...how } = order;
    if (workers.length === 0) return runPart(artifact, tiles, { ...stream, ...how }, one);
    // A memory that is sent again is another object there, for which all that was made ready would be made anew.
    const sent = tiles === this.programmed ? null : tiles;
    const told = workers.map((worker) =>
      ask<PartResult>(worker, { kind: "run", ...how, tiles: sent } satisfies Order, one),
    );
    const results = await Promise.all(told);
    return {
      outputs: results.flatMap((r) => r.outputs),
      taps: results.flatMap((r) => r.taps),
    };
  }

  /** Ends the threads, also in the middle of a run. */
  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}

/** The constants of an artifact in memory that threads share, so that each is there once. */
function sharedConstants({ images, directory }: Artifact): ReadonlyMap<string, Tensor> {
  if (!images) return new Map();
  return new Map(
    [...imagesIn(directory, 0).constants].map(([name, { elem, shape, data }]) => {
      const Kind = data.constructor as new (buffer: SharedArrayBuffer) => TensorData;
      const copy = new Kind(new SharedArrayBuffer(data.byteLength));
      // Of the same kind.
      (copy as Float32Array).set(data as Float32Array);
      return [name, { elem, shape, data: copy }];
    }),
  );
}

function shareOf(stream: Share, index: number, of: number): Share {
  const edge = (k: number): number => Math.floor((k * stream.inputs.length) / of);
  const inputs = stream.inputs.slice(edge(index), edge(index + 1));
  return { ...stream, inputs, first: stream.first + edge(index), thread: index };
}
