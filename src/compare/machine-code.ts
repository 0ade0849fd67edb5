/** Verification of the machine code of an artifact: its programs run, and each step is held against its kernel. */

import { type IsaSimulation, IsaSimulator } from "../sim/isa/simulator.ts";
import type { Artifact } from "../sim/load.ts";
import type { EngineMaker } from "./engine.ts";

/**
 * What a step may be off its kernel on the same operands, relative to the largest value of its block: sums in another
 * order and functions that are approximated (docs/guide/verify.md).
 */
const KERNEL_TOLERANCE = 1e-5;
/** Both are rounded, each more than once: what a change of the operands in their last place does counts so often. */
const ROUNDINGS = 4;

export const isOff = ({ deviation, rounding }: StepCheck): boolean =>
  !(deviation <= KERNEL_TOLERANCE + ROUNDINGS * rounding);

/** A step as it ran in machine code. */
export interface StepCheck {
  readonly step: string;
  readonly kernel: string;
  readonly module: string;
  readonly nodes: readonly string[];
  readonly iterations: number;
  /** Of all its iterations. */
  readonly cycles: number;
  /** Results that were compared, and how many had the same bits. */
  readonly blocks: number;
  readonly same: number;
  /** Largest deviation of a block, relative to its largest value. */
  readonly deviation: number;
  /** Where that is more than 1e-5: how far the kernel goes when its operands change in their last place; else 0. */
  readonly rounding: number;
}

export class MachineCode {
  /** The last run, when there was one. */
  last: IsaSimulation | undefined;

  readonly engine: EngineMaker = async (artifact, options) => {
    const simulator = new IsaSimulator(artifact, { ...options, judged: true });
    return {
      run: async (chip, progress) => {
        this.last = await simulator.run(chip, progress);
        return this.last;
      },
      close: async () => simulator.close(),
    };
  };

  /** The steps of the last run, in the order of the schedule. */
  steps({ schedule }: Artifact): readonly StepCheck[] {
    return (this.last?.steps ?? []).flatMap(({ step, iterations, cycles, check }, i) => {
      const found = schedule.steps[i];
      if (!found) return [];
      const { kernel, module, nodes } = found;
      const { blocks = 0, same = 0, worst: deviation = 0, rounding = 0 } = check ?? {};
      const numbers = { iterations, cycles, blocks, same, deviation, rounding };
      return [{ step, kernel, module, nodes, ...numbers }];
    });
  }
}
