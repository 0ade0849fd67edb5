/** What runs a stream of inferences on chips, one chip after the other. */

import type { Artifact } from "../sim/load.ts";
import type { PartResult } from "../sim/run-part.ts";
import { type Chip, Simulator, type StreamOptions } from "../sim/simulate.ts";

export interface Engine {
  /** `progress` is told how many inferences are done. */
  run(chip: Chip, progress: (done: number) => void): Promise<PartResult>;
  /** Also in the middle of a run. */
  close(): Promise<void>;
}

/** Everything that does not depend on a chip happens here, once. */
export type EngineMaker = (artifact: Artifact, options: StreamOptions) => Promise<Engine>;

export const simulator: EngineMaker = async (artifact, options) => new Simulator(artifact, options);

/** The result of a run, or null when the signal came first; the engine is closed then. */
export async function unlessAborted<T>(
  engine: Engine,
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
): Promise<T | null> {
  // Whoever waits to interrupt this thread gets a turn.
  await new Promise((turn) => setImmediate(turn));
  if (signal?.aborted) return null;
  let stop = (): void => undefined;
  const aborted = new Promise<null>((resolve) => {
    // A run that has just finished comes first.
    stop = () => void engine.close().then(() => setImmediate(() => resolve(null)));
    signal?.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([run(), aborted]);
  } catch (error) {
    // Threads that were ended say so.
    if (signal?.aborted) return null;
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
