/** Runs a stream of inferences on a machine that runs machine code, one chip after the other. */

import { Crossbars } from "../crossbar.ts";
import { Executor } from "../execute.ts";
import { type Artifact, requireImages } from "../load.ts";
import { checkRoom } from "../room.ts";
import { wantedOf } from "../run-part.ts";
import { type Chip, checkInputs, type Simulation, type StreamOptions } from "../simulate.ts";
import { emptyTiles, heldTiles, programmed, type TileMemory } from "../tile-memory.ts";
import type { StepCycles } from "./account.ts";
import type { KernelCheck } from "./kernel-check.ts";
import { IsaMachine } from "./machine.ts";
import { loadPrograms, type MachinePrograms } from "./programs.ts";
import { Tiles } from "./tile-unit.ts";

/** What a step in machine code took, and how it did against its kernel. */
export interface StepResult extends StepCycles {
  readonly step: string;
  readonly check?: KernelCheck | undefined;
}

export interface IsaSimulation extends Simulation {
  /** In the order of the schedule. */
  readonly steps: readonly StepResult[];
}

export interface IsaOptions extends StreamOptions {
  /** Hold every step against its kernel, and stop at reads of what was never written. */
  readonly judged: boolean;
  readonly traced?: number;
}

export class IsaSimulator {
  private readonly artifact: Artifact;
  private readonly options: IsaOptions;
  private readonly programs: MachinePrograms;
  private readonly empty: TileMemory;
  private closed = false;

  /** Errors: as Simulator's, and A623, A624 where there is no machine code or no time for it. */
  constructor(artifact: Artifact, options: IsaOptions) {
    requireImages(artifact);
    checkInputs(artifact, options.inputs);
    checkRoom(artifact);
    this.artifact = artifact;
    this.options = options;
    this.programs = loadPrograms(artifact);
    this.empty = emptyTiles(artifact, 1);
  }

  /** Errors: as Simulator's, A621 for what a program may not do, A622 when nothing goes on. */
  async run(
    chip: Chip,
    progress: (done: number) => void = () => undefined,
  ): Promise<IsaSimulation> {
    const { artifact } = this;
    const { inputs, taps = [], tapped = inputs.length, judged, traced = 0 } = this.options;
    const { seed = 0, timeSeconds = 0 } = chip;
    const memory = programmed(this.empty, artifact, { ...chip, seed, timeSeconds });
    const crossbars = new Crossbars(artifact, seed, heldTiles(artifact, memory), 0);
    const { collect, resultOf } = wantedOf(artifact, { inputs, first: 0, taps, tapped });
    const executor = new Executor(artifact, crossbars, inputs, 0, collect);
    const machine = new IsaMachine(
      artifact,
      this.programs,
      executor,
      (nodes) => new Tiles(artifact, crossbars, nodes),
      { inferences: inputs.length, judged, checked: judged, traced, progress },
    );
    await machine.run(() => this.closed);
    if (this.closed) return new Promise(() => undefined);
    const { account, host, tiles } = machine;
    return {
      ...resultOf(executor),
      timing: account.timeline(inputs.length, tiles),
      steps: artifact.schedule.steps.map(({ id }) => ({
        step: id,
        ...(account.steps.get(id) ?? { iterations: 0, cycles: 0 }),
        check: host.checks.get(id),
      })),
    };
  }

  /** Also in the middle of a run, whose promise then never settles. */
  close(): void {
    this.closed = true;
  }
}
