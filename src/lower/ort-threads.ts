/**
 * Shares of a stream side by side, each on a thread with sessions of ONNX Runtime of its own: within an operator its threads
 * gain less, and on small ones they lose. Node gives ONNX Runtime no memory that threads share, so each holds a copy of the chip.
 */

import type { Worker } from "node:worker_threads";
import { type Diagnostic, InputError } from "../diag/diagnostic.ts";
import type { PartResult } from "../sim/run-part.ts";
import { startThread } from "../thread/start.ts";
import { type Inside, OrtShare, type Share, type Sources, type Tensors } from "./ort-share.ts";

/** What a thread is told. */
export type Order =
  | { readonly kind: "open"; readonly sources: Sources }
  | { readonly kind: "inside"; readonly inside: Inside }
  | { readonly kind: "chip"; readonly chip: Tensors }
  | { readonly kind: "run"; readonly seed: number }
  | { readonly kind: "leave" };

/** What a thread says. */
export type Answer =
  | { readonly kind: "inference" }
  | { readonly kind: "done"; readonly result: PartResult | null }
  | { readonly kind: "fault"; readonly diagnostics: readonly Diagnostic[] };

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
    if (first) await answerOf(first, { kind: "inside", inside });
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
    // A thread that has left answers nothing, not even that it has.
    if (this.isLeft) throw new Error("told to go on after the stream had ended");
    const told = this.workers.map((worker) => answerOf(worker, order, inference));
    await Promise.allSettled(told);
    return Promise.all(told);
  }
}

function answerOf(
  worker: Worker,
  order: Order,
  inference: () => void = () => undefined,
): Promise<PartResult | null> {
  return new Promise((resolve, reject) => {
    const end = (finish: () => void): void => {
      worker.off("message", hear).off("error", fail).off("exit", leave);
      finish();
    };
    const hear = (answer: Answer): void => {
      if (answer.kind === "inference") inference();
      else if (answer.kind === "done") end(() => resolve(answer.result));
      else end(() => reject(new InputError(answer.diagnostics)));
    };
    const fail = (error: unknown): void => end(() => reject(error));
    const leave = (code: number): void => fail(new Error(`a thread ended early with code ${code}`));
    worker.on("message", hear).on("error", fail).on("exit", leave);
    worker.postMessage(order);
  });
}
