/** Whole inferences on threads: a stream in contiguous parts, one a thread, results in order. */

import { availableParallelism } from "node:os";
import { type Diagnostic, InputError } from "../diag/diagnostic.ts";
import { startThread } from "../thread/start.ts";
import type { Artifact } from "./load.ts";
import type { TileState } from "./program-tiles.ts";
import { type Part, type PartResult, runPart } from "./run-part.ts";

/** What a thread is started with. The memory of `states` is shared, everything else copied. */
export interface Job {
  readonly artifact: Artifact;
  readonly states: readonly TileState[];
  readonly part: Part;
}

/** What a thread says. */
export type Message =
  | { readonly kind: "inference" }
  | { readonly kind: "result"; readonly result: PartResult }
  | { readonly kind: "fault"; readonly diagnostics: readonly Diagnostic[] };

/** `threads` defaults to the processors there are. `progress` is told how many inferences are done. */
export async function runStream(
  artifact: Artifact,
  states: readonly TileState[],
  stream: Part,
  threads: number = availableParallelism(),
  progress: (done: number) => void = () => undefined,
): Promise<PartResult> {
  let done = 0;
  const one = (): void => progress(++done);
  const count = Math.max(1, Math.min(threads, stream.inputs.length));
  if (count === 1) return runPart(artifact, states, stream, one);
  // Raw tiles stay behind: threads need only what was programmed.
  const lean = { ...artifact, tiles: new Map() };
  const parts = Array.from({ length: count }, (_, i) => partOf(stream, i, count));
  const results = await Promise.all(
    parts.map((part) => runOnThread({ artifact: lean, states, part }, one)),
  );
  return {
    outputs: results.flatMap((r) => r.outputs),
    taps: results.flatMap((r) => r.taps),
  };
}

function partOf(stream: Part, index: number, of: number): Part {
  const edge = (k: number): number => Math.floor((k * stream.inputs.length) / of);
  const inputs = stream.inputs.slice(edge(index), edge(index + 1));
  return { ...stream, inputs, first: stream.first + edge(index) };
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
