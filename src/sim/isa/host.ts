/**
 * The host of a machine that runs machine code: it writes blocks of graph inputs when there is room for them, and takes
 * the blocks that steps have written. Every step can be held against its kernel on the very same operands.
 */

import type { Tensor } from "../../tensor/tensor.ts";
import type { Executor } from "../execute.ts";
import type { Process } from "../processes.ts";
import { deviation, type KernelCheck, LARGE, nudged, roundingOf } from "./kernel-check.ts";

export class Host {
  /** Iterations of each process that have ended. */
  readonly finished: number[];
  /** What steps gave against their kernels, by step; empty unless they are judged. */
  readonly checks = new Map<string, KernelCheck>();
  private readonly processes: readonly Process[];
  private readonly executor: Executor;
  private readonly inferences: number;
  private readonly judges: boolean;
  private readonly write: (process: Process, iteration: number, block: Tensor) => void;

  constructor(
    processes: readonly Process[],
    executor: Executor,
    inferences: number,
    judges: boolean,
    write: (process: Process, iteration: number, block: Tensor) => void,
  ) {
    this.processes = processes;
    this.executor = executor;
    this.inferences = inferences;
    this.judges = judges;
    this.write = write;
    this.finished = processes.map(() => 0);
  }

  total({ perInference }: Process): number {
    return perInference * this.inferences;
  }

  /** Whether the next iteration of a process may start; else what it waits for. */
  missing(process: Process): readonly string[] {
    const next = this.finished[process.index] ?? 0;
    return process.guards
      .filter((g) => (this.finished[g.source] ?? 0) < g.needed(next))
      .map((g) => g.what);
  }

  /** Writes the blocks of inputs that may be written now. */
  feed(): void {
    for (const process of this.processes) {
      if (process.step) continue;
      for (;;) {
        const iteration = this.finished[process.index] ?? 0;
        if (iteration >= this.total(process) || this.missing(process).length > 0) break;
        const blocks = this.executor.compute({ process, iteration });
        this.executor.store({ process, iteration }, blocks);
        this.finished[process.index] = iteration + 1;
        for (const block of blocks) this.write(process, iteration, block);
      }
    }
  }

  /** Takes what an iteration of a step has written. */
  take(process: Process, results: readonly Tensor[]): void {
    const iteration = this.finished[process.index] ?? 0;
    const work = { process, iteration };
    if (this.judges && process.step) {
      const expected = this.executor.compute(work);
      const off = (others: readonly Tensor[]): number[] =>
        others.map((r, i) => deviation(r, expected[i] as Tensor));
      const found = off(results);
      const large = found.some((d) => !(d <= LARGE));
      const rounding = large
        ? [
            ...off(this.executor.compute(work, nudged)),
            ...results.map(({ elem }) => roundingOf(elem)),
          ]
        : [];
      this.note(process.step.id, found, rounding);
    }
    this.executor.store(work, results);
    this.finished[process.index] = iteration + 1;
  }

  private note(step: string, found: readonly number[], rounding: readonly number[]): void {
    const before = this.checks.get(step) ?? { blocks: 0, same: 0, worst: 0, rounding: 0 };
    this.checks.set(step, {
      blocks: before.blocks + found.length,
      same: before.same + found.filter((d) => d === 0).length,
      worst: Math.max(before.worst, ...found),
      rounding: Math.max(before.rounding, ...rounding),
    });
  }
}
