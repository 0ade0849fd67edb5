/** Whole inferences on threads: a stream in contiguous parts, one a thread, results in order. */

import { availableParallelism } from "node:os";
import { type Diagnostic, InputError } from "../diag/diagnostic.ts";
import { startThread } from "../thread/start.ts";
import type { Artifact } from "./load.ts";
import { type Part, type PartResult, runPart } from "./run-part.ts";
import type { TileMemory } from "./tile-memory.ts";

/** What a thread is started with. The tiles are shared, everything else copied. */
export interface Job {
  readonly artifact: Artifact;
  readonly memory: TileMemory;
  readonly part: Part;
}

/** What a thread says. */
export type Message =
  | { readonly kind: "inference" }
  | { readonly kind: "result"; readonly result: PartResult }
  | { readonly kind: "fault"; readonly diagnostics: readonly Diagnostic[] };

/** Threads worth starting for so many inferences; at most `threads`, which defaults to the processors there are. */
export const threadsFor = (inferences: number, threads: number = availableParallelism()): number =>
  Math.max(1, Math.min(threads, inferences));

/** Runs on `count` threads; `progress` is told how many inferences are done. */
export async function runStream(
  artifact: Artifact,
  memory: TileMemory,
  stream: Part,
  count: number,
  progress: (done: number) => void = () => undefined,
): Promise<PartResult> {
  let done = 0;
  const one = (): void => progress(++done);
  if (count === 1) return runPart(artifact, memory, stream, one);
  // Raw tiles stay behind: threads need only what was programmed.
  const lean = { ...artifact, tiles: new Map() };
  const parts = Array.from({ length: count }, (_, i) => partOf(stream, i, count));
  const results = await Promise.all(
    parts.map((part) => runOnThread({ artifact: lean, memory, part }, one)),
  );
  return {
    outputs: results.flatMap((r) => r.outputs),
    taps: results.flatMap((r) => r.taps),
  };
}

function partOf(stream: Part, index: number, of: number): Part {
  const edge = (k: number): number => Math.floor((k * stream.inputs.length) / of);
  const inputs = stream.inputs.slice(edge(index), edge(index + 1));
  return { ...stream, inputs, first: stream.first + edge(index), thread: index };
}

function runOnThread(job: Job, inference: () => void): Promise<PartResult> {
  return new Promise((resolve, reject) => {
    const worker = startThread(new URL("./worker", import.meta.url), job);
    worker.on("message", (message: Message) => {
      if (message.kind === "inference") inference();
      else if (message.kind === "result") resolve(message.result);
      else reject(new InputError(message.diagnostics));
    });
    worker.on("error", reject);
    worker.on("exit", (code) => reject(new Error(`a thread ended early with code ${code}`)));
  });
}
