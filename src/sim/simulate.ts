/** Runs an artifact on inputs: values, time and energy. */

import { availableParallelism } from "node:os";
import type { PortSpec } from "../artifact/manifest.ts";
import type { Diagnostic } from "../diag/diagnostic.ts";
import { showType } from "../tensor/tensor.ts";
import type { Values } from "./execute.ts";
import { fault, placeOf, refuseAll } from "./faults.ts";
import { type Artifact, requireImages } from "./load.ts";
import { Pool, threadsFor } from "./pool.ts";
import type { Mode } from "./program-tiles.ts";
import { checkRoom } from "./room.ts";
import type { PartResult, Whole } from "./run-part.ts";
import { emptyTiles, type TileMemory } from "./tile-memory.ts";
import { type Timeline, timeline } from "./timeline.ts";

export interface StreamOptions {
  /** A stream of inferences, each by graph input. */
  readonly inputs: readonly Values[];
  /** ONNX tensors whose values are wanted besides the outputs; those that no buffer holds are left out. */
  readonly taps?: readonly string[];
  /** Of how many inferences, from the first; absent: of all. */
  readonly tapped?: number;
  /** At most this many; results do not depend on it. */
  readonly threads?: number;
  /**
   * Tiles are programmed and constants read when they are needed, and let go, so that memory does not grow with the
   * model; values are those of the machine, computed step by step.
   */
  readonly stream?: boolean;
}

/** Bytes that a streaming run keeps: of programmed tiles by all threads together, of constants by each. */
const STREAMED_TILES = 128 * 2 ** 20;
const STREAMED_CONSTANTS = 32 * 2 ** 20;

/** One machine at one time. */
export interface Chip {
  readonly mode: Mode;
  /** Of the programmed devices and of the noise of every vector. */
  readonly seed?: number;
  /** Since the tiles were programmed. */
  readonly timeSeconds?: number;
  /** Values alone, faster, and not in the order of the machine. */
  readonly whole?: Whole;
  /** Names of weights that compute exactly. */
  readonly exact?: ReadonlySet<string>;
}

export interface SimulateOptions extends StreamOptions, Chip {
  readonly progress?: (done: number) => void;
  /** Inferences whose slices `timing` keeps, for a trace. */
  readonly traced?: number;
}

export interface Simulation extends PartResult {
  readonly timing: Timeline;
}

/** ONNX tensors that can be tapped. */
export const tappable = ({ schedule }: Artifact): string[] => [
  ...new Set(schedule.buffers.flatMap((b) => b.tensor ?? [])),
];

/** Runs one stream on one chip after the other: what does not depend on the chip is made once. */
export class Simulator {
  private readonly pool: Pool;
  /** Where all tiles have their places; null where they are programmed on the way. */
  private readonly empty: TileMemory | null;
  private readonly threads: number;
  /** What the tiles hold now, and of which chip. */
  private programmed: { readonly memory: TileMemory; readonly of: string } | undefined;

  /**
   * Throws A412 without tile images, A411 for inputs that do not fit, and A414 for values that memory does not
   * hold. Threads run until `close`.
   */
  constructor(artifact: Artifact, options: StreamOptions) {
    const { inputs, taps = [], tapped = inputs.length, stream = false } = options;
    requireImages(artifact);
    checkInputs(artifact, inputs);
    checkRoom(artifact);
    const { threads = availableParallelism() } = options;
    const weights = artifact.mapping.weights.reduce((n, w) => n + w.rows * w.cols, 0);
    this.threads = threadsFor(inputs.length, stream ? 0 : weights, threads);
    this.empty = stream ? null : emptyTiles(artifact, this.threads);
    const share = { inputs, first: 0, thread: 0, taps, tapped };
    this.pool = new Pool(artifact, share, this.threads, stream ? STREAMED_CONSTANTS : undefined);
  }

  /** Throws A408 to A410 and A413 for what goes wrong on the way. `progress` is told how many inferences are done. */
  async run(chip: Chip, progress: (done: number) => void = () => undefined): Promise<PartResult> {
    const { mode, seed = 0, timeSeconds = 0, exact = new Set<string>(), whole = false } = chip;
    const how = { mode, seed, timeSeconds, exact };
    if (!this.empty) {
      const tiles = { how, bytes: STREAMED_TILES / this.threads };
      return this.pool.run({ tiles, seed, whole: true }, progress);
    }
    const of = JSON.stringify([mode, seed, timeSeconds, [...exact]]);
    if (this.programmed?.of !== of) {
      this.programmed = undefined;
      this.programmed = { memory: await this.pool.program(this.empty, how), of };
    }
    return this.pool.run({ tiles: this.programmed.memory, seed, whole }, progress);
  }

  /** Also in the middle of a run, whose promise then never settles. */
  close(): Promise<void> {
    return this.pool.close();
  }
}

/** One chip alone; throws what `Simulator` throws. */
export async function simulate(artifact: Artifact, options: SimulateOptions): Promise<Simulation> {
  const simulator = new Simulator(artifact, options);
  try {
    const result = await simulator.run(options, options.progress);
    return { ...result, timing: timeline(artifact, options.inputs.length, options.traced) };
  } finally {
    await simulator.close();
  }
}

export function checkInputs(artifact: Artifact, inputs: readonly Values[]): void {
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
