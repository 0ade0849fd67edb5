/**
 * Shares of a stream side by side, each on a thread with sessions of ONNX Runtime of its own: within an operator its threads
 * gain less, and on small ones they lose. Node gives ONNX Runtime no memory that threads share, so each holds a copy of the chip.
 */

import type { Worker } from "node:worker_threads";
import type { PartResult } from "../sim/run-part.ts";
import { ask } from "../thread/ask.ts";
import { startThread } from "../thread/start.ts";
import { type Inside, OrtShare, type Share, type Sources, type Tensors } from "./ort-share.ts";

/** What a thread is told. */
export type Order =
  | { readonly kind: "open"; readonly sources: Sources }
  | { readonly kind: "inside"; readonly inside: Inside }
  | { readonly kind: "chip"; readonly chip: Tensors }
  | { readonly kind: "run"; readonly seed: number }
  | { readonly kind: "leave" };

/** The shares of a stream; one alone runs on this thread. */
export class OrtThreads {
  private readonly alone: OrtShare | undefined;
  private readonly workers: readonly Worker[];
  /** Of the one alone. */
  private chip: Tensors = new Map();
  private isLeft = false;

  constructor(shares: readonly Share[]) {
    const [only] = shares;
    this.alone = only && shares.length === 1 ? new OrtShare(only) : undefined;
    const body = new URL("./ort-worker", import.meta.url);
    this.workers = this.alone ? [] : shares.map((share) => startThread(body, share));
  }

  async open(sources: Sources): Promise<void> {
    await this.alone?.open(sources);
    await this.tell({ kind: "open", sources });
  }

  /** Values inside are those of the first inference, which the first share has. */
  async lookInside(inside: Inside): Promise<void> {
    await this.alone?.lookInside(inside);
    const [first] = this.workers;
    if (first) await ask(first, { kind: "inside", inside } satisfies Order);
  }

  async hold(chip: Tensors): Promise<void> {
    if (this.alone) this.chip = chip;
    await this.tell({ kind: "chip", chip });
  }

  /** `progress` is told how many inferences are done. */
  async run(seed: number, progress: (done: number) => void): Promise<PartResult> {
    let done = 0;
    const one = (): void => progress(++done);
    if (this.alone) return this.alone.run(this.chip, seed, one, () => this.isLeft);
    const results = await this.tell({ kind: "run", seed }, one);
    return {
      outputs: results.flatMap((r) => r?.outputs ?? []),
      taps: results.flatMap((r) => r?.taps ?? []),
    };
  }

  /** Waits for the inferences that run now: a thread that is ended within ONNX Runtime ends the process. */
  async close(): Promise<void> {
    this.isLeft = true;
    await this.alone?.close();
    const left = this.workers.map(
      (worker) => new Promise<void>((resolve) => worker.once("exit", () => resolve())),
    );
    for (const worker of this.workers) worker.postMessage({ kind: "leave" } satisfies Order);
    await Promise.all(left);
  }

  /** The first fault is told when all have answered. */
  private async tell(order: Order, inference?: () => void): Promise<(PartResult | null)[]> {
    const told = this.workers.map((worker) => ask<PartResult | null>(worker, order, inference));
    await Promise.allSettled(told);
    return Promise.all(told);
  }
}
