/** Runs an artifact on inputs: values, time and energy. */

import type { PortSpec } from "../artifact/manifest.ts";
import type { Diagnostic } from "../diag/diagnostic.ts";
import { showType } from "../tensor/tensor.ts";
import type { Values } from "./execute.ts";
import { fault, placeOf, refuseAll } from "./faults.ts";
import { type Artifact, requireImages } from "./load.ts";
import { runStream, threadsFor } from "./pool.ts";
import type { Mode } from "./program-tiles.ts";
import { checkRoom } from "./room.ts";
import { tileMemory } from "./tile-memory.ts";
import { type Timeline, timeline } from "./timeline.ts";

export interface SimulateOptions {
  /** A stream of inferences, each by graph input. */
  readonly inputs: readonly Values[];
  readonly mode: Mode;
  /** Of the programmed devices and of the noise of every vector. */
  readonly seed?: number;
  /** Since the tiles were programmed. */
  readonly timeSeconds?: number;
  /** ONNX tensors whose values are wanted besides the outputs; those that no buffer holds are left out. */
  readonly taps?: readonly string[];
  /** At most this many; results do not depend on it. */
  readonly threads?: number;
  readonly progress?: (done: number) => void;
  /** Inferences whose slices `timing` keeps, for a trace. */
  readonly traced?: number;
}

export interface Simulation {
  /** One per inference, by graph output. */
  readonly outputs: readonly Values[];
  /** One per inference, by ONNX tensor. */
  readonly taps: readonly Values[];
  readonly timing: Timeline;
}

/** ONNX tensors that can be tapped. */
export const tappable = ({ schedule }: Artifact): string[] => [
  ...new Set(schedule.buffers.flatMap((b) => b.tensor ?? [])),
];

/**
 * Throws A412 without tile images, A411 for inputs that do not fit, A414 for values that memory does not hold, and
 * A408 to A410 for what goes wrong on the way.
 */
export async function simulate(artifact: Artifact, options: SimulateOptions): Promise<Simulation> {
  const { inputs, mode, seed = 0, timeSeconds = 0, taps = [], threads, progress } = options;
  requireImages(artifact);
  checkInputs(artifact, inputs);
  checkRoom(artifact);
  const timing = timeline(artifact, inputs.length, options.traced);
  const count = threadsFor(inputs.length, threads);
  const memory = tileMemory(artifact, { mode, seed, timeSeconds }, count);
  const stream = { mode, seed, inputs, first: 0, thread: 0, taps };
  const { outputs, taps: tapped } = await runStream(artifact, memory, stream, count, progress);
  return { outputs, taps: tapped, timing };
}

function checkInputs(artifact: Artifact, inputs: readonly Values[]): void {
  const ports = artifact.manifest.model.inputs;
  const faults: Diagnostic[] = [];
  for (const [k, values] of inputs.entries()) {
    for (const port of ports.filter((p) => p.fixed === undefined)) {
      const text = inputFault(port, values);
      if (!text) continue;
      faults.push(fault("A411", `inference ${k}: ${text}`, placeOf(artifact, [], "manifest.json")));
    }
  }
  refuseAll(faults);
}

function inputFault({ name, elem, shape }: PortSpec, values: Values): string | null {
  const value = values.get(name);
  if (!value) return `input '${name}' is missing`;
  const fits =
    value.elem === elem &&
    value.shape.length === shape.length &&
    shape.every((d, axis) => d === null || d === value.shape[axis]);
  if (fits) return null;
  const expected = [...shape.map((d) => d ?? "?"), elem].join("x");
  return `input '${name}' is ${showType(value)}, the model was compiled for ${expected}`;
}
