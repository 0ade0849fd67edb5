/** Whole inferences on threads: a stream in contiguous parts, one a thread, results in order. */

import { availableParallelism } from "node:os";
import type { Worker } from "node:worker_threads";
import { type Diagnostic, InputError } from "../diag/diagnostic.ts";
import { startThread } from "../thread/start.ts";
import type { Artifact } from "./load.ts";
import { type Part, type PartResult, runPart, type Whole } from "./run-part.ts";
import type { TileMemory } from "./tile-memory.ts";

/** The part of a stream that a thread runs again and again, on chips that differ. */
export type Share = Omit<Part, "seed" | "whole">;

/** What a thread is started with. */
export interface Start {
  readonly artifact: Artifact;
  readonly share: Share;
}

/** What a thread is told: run your part on this chip. The tiles are shared, everything else copied. */
export interface Order {
  readonly memory: TileMemory;
  readonly seed: number;
  readonly whole: Whole;
}

/** What a thread says. */
export type Message =
  | { readonly kind: "inference" }
  | { readonly kind: "result"; readonly result: PartResult }
  | { readonly kind: "fault"; readonly diagnostics: readonly Diagnostic[] };

/** Threads worth having for so many inferences; at most `threads`, which defaults to the processors there are. */
export const threadsFor = (inferences: number, threads: number = availableParallelism()): number =>
  Math.max(1, Math.min(threads, inferences));

/** Threads that wait for chips to run a stream on. */
export class Pool {
  private readonly artifact: Artifact;
  private readonly stream: Share;
  private readonly workers: readonly Worker[];

  /** One thread is this one. */
  constructor(artifact: Artifact, stream: Share, count: number) {
    this.artifact = artifact;
    this.stream = stream;
    // Raw tiles stay behind: threads need only what was programmed.
    const lean = { ...artifact, tiles: new Map() };
    this.workers = Array.from({ length: count === 1 ? 0 : count }, (_, i) => {
      const start: Start = { artifact: lean, share: shareOf(stream, i, count) };
      return startThread(new URL("./worker", import.meta.url), start);
    });
  }

  /** `progress` is told how many inferences are done. */
  async run(order: Order, progress: (done: number) => void): Promise<PartResult> {
    let done = 0;
    const one = (): void => progress(++done);
    const { artifact, stream, workers } = this;
    if (workers.length === 0) {
      const { memory, ...how } = order;
      return runPart(artifact, memory, { ...stream, ...how }, one);
    }
    const results = await Promise.all(workers.map((worker) => answerOf(worker, order, one)));
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

function shareOf(stream: Share, index: number, of: number): Share {
  const edge = (k: number): number => Math.floor((k * stream.inputs.length) / of);
  const inputs = stream.inputs.slice(edge(index), edge(index + 1));
  return { ...stream, inputs, first: stream.first + edge(index), thread: index };
}

function answerOf(worker: Worker, order: Order, inference: () => void): Promise<PartResult> {
  return new Promise((resolve, reject) => {
    const end = (finish: () => void): void => {
      worker.removeAllListeners();
      finish();
    };
    worker.on("message", (message: Message) => {
      if (message.kind === "inference") inference();
      else if (message.kind === "result") end(() => resolve(message.result));
      else end(() => reject(new InputError(message.diagnostics)));
    });
    worker.on("error", (error) => end(() => reject(error)));
    worker.on("exit", (code) =>
      end(() => reject(new Error(`a thread ended early with code ${code}`))),
    );
    worker.postMessage(order);
  });
}
