/** Inferences side by side, step by step: a tile is programmed and a constant read once for many of them. */

import { bytesPer } from "../tensor/tensor.ts";
import type { Executor } from "./execute.ts";
import type { WholeProgram } from "./whole.ts";

/** Values of inferences that run side by side, in bytes; of a single one they may be more. */
const SIDE_BY_SIDE_BYTES = 64 * 2 ** 20;

/** One inference. */
interface Lane<R> {
  /** Knows this inference alone, as number 0. */
  readonly executor: Executor;
  result(): R;
}

/** Runs `count` inferences and gives their results; lanes are opened as they begin. */
export function sideBySide<R>(
  program: WholeProgram,
  count: number,
  progress: () => void,
  open: (inference: number) => Lane<R>,
): R[] {
  const width = Math.max(1, Math.floor(SIDE_BY_SIDE_BYTES / mostHeld(program)));
  const results: R[] = [];
  for (let first = 0; first < count; first += width) {
    const some = Math.min(width, count - first);
    const lanes = Array.from({ length: some }, (_, i) => open(first + i));
    runLanes(
      program,
      lanes.map((lane) => lane.executor),
    );
    for (const lane of lanes) {
      results.push(lane.result());
      progress();
    }
  }
  return results;
}

function runLanes({ order, last }: WholeProgram, executors: readonly Executor[]): void {
  for (const [place, process] of order.entries()) {
    for (const executor of executors) {
      for (let iteration = 0; iteration < process.perInference; iteration++) {
        executor.perform({ process, iteration });
      }
      executor.forget(last[place] ?? []);
    }
  }
}

/** The most bytes of values that an inference holds at once. Dimensions that depend on data count as one. */
function mostHeld({ artifact, order, last }: WholeProgram): number {
  const bytes = new Map(
    artifact.schedule.buffers.map(({ id, elem, shape }) => [
      id,
      shape.reduce<number>((n, d) => n * (d ?? 1), bytesPer(elem)),
    ]),
  );
  const sum = (buffers: readonly { readonly id: string }[]): number =>
    buffers.reduce((n, { id }) => n + (bytes.get(id) ?? 0), 0);
  let held = 0;
  let most = 1;
  for (const [place, { writes }] of order.entries()) {
    held += sum(writes);
    most = Math.max(most, held);
    held -= sum(last[place] ?? []);
  }
  return most;
}
